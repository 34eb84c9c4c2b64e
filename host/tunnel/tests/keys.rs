//! Private keys are read and written as `wg` does, and never shown.

use std::io::Write as _;
use std::process::{Command, Stdio};

use servos_tunnel::PrivateKey;

#[test]
fn wg_derives_the_same_public_key() {
    let key = PrivateKey::generate();
    let mut wg =
        Command::new("wg").arg("pubkey").stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("wg is installed");
    wg.stdin.take().unwrap().write_all(key.to_base64().as_bytes()).unwrap();
    let told = wg.wait_with_output().unwrap();
    assert_eq!(String::from_utf8(told.stdout).unwrap().trim(), key.public_key().to_string());
}

#[test]
fn text_comes_back_as_it_was_and_debug_shows_nothing() {
    let key = PrivateKey::generate();
    let text = key.to_base64();
    let again = PrivateKey::from_base64(&format!(" {}\n", *text)).unwrap();
    assert_eq!(*again.to_base64(), *text);
    assert!(!format!("{key:?}").contains(&text[..8]));
    for wrong in ["", "abc", &text[..43], &format!("{}AAAA", *text)] {
        let error = PrivateKey::from_base64(wrong).unwrap_err();
        assert!(wrong.is_empty() || !error.to_string().contains(wrong));
    }
}
