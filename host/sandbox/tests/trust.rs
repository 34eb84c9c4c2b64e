//! Signed plugins: what is unsigned, altered or signed by a stranger is refused, and what ran before goes on.

#![cfg(test)]

mod common;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use common::guest::Naming;
use common::{config, mesh, question, status};
use ring::signature::{Ed25519KeyPair, KeyPair};
use servos_hostile_guests::answers::a_records;
use servos_sandbox::naming::{Outcome, RecordType};
use servos_sandbox::{PluginHost, PluginHostConfig, SignatureError, State, Trust, TrustError};

struct Key(Ed25519KeyPair);

impl Key {
    fn new(seed: u8) -> Self {
        Self(Ed25519KeyPair::from_seed_unchecked(&[seed; 32]).unwrap())
    }

    fn public(&self) -> String {
        STANDARD.encode(self.0.public_key())
    }

    fn sign(&self, file: &[u8]) -> String {
        STANDARD.encode(self.0.sign(file)) + "\n"
    }
}

/// A plugin that answers with that TTL.
fn says(ttl: u32) -> Vec<u8> {
    Naming::answering(a_records(ttl, &[[100, 64, 0, 2]]))
}

fn ttl(host: &PluginHost) -> Option<u32> {
    match host.resolve(&mesh::snapshot(), &question("api", RecordType::A)) {
        Outcome::Answers(answers) => Some(answers[0].ttl),
        _ => None,
    }
}

/// A host that trusts those keys, and its folder.
fn trusting(root: &Path, keys: &[String]) -> (Arc<PluginHost>, PathBuf) {
    let folder = root.join("plugins.d");
    fs::create_dir_all(&folder).unwrap();
    let trust = Some(Trust::new(keys).unwrap());
    (PluginHost::new(PluginHostConfig { trust, ..config(root, Vec::new()) }).unwrap(), folder)
}

#[test]
fn only_what_a_trusted_key_signed_is_loaded() {
    let (ours, second, stranger) = (Key::new(1), Key::new(2), Key::new(3));
    let root = tempfile::tempdir().unwrap();
    let (host, folder) = trusting(root.path(), &[ours.public(), second.public()]);
    let (file, signature) = (folder.join("10-canary.wasm"), folder.join("10-canary.wasm.sig"));
    let problem = || status(&host, "10-canary").unwrap().problem();

    fs::write(&file, says(1)).unwrap();
    host.rescan();
    let State::Refused(reason) = status(&host, "10-canary").unwrap().state else { panic!("it runs unsigned") };
    assert_eq!((reason, ttl(&host)), (SignatureError::Unsigned.to_string(), None));

    fs::write(&signature, second.sign(&says(1))).unwrap();
    host.rescan();
    assert_eq!((problem(), ttl(&host)), (None, Some(1)));

    // Another file under the signature of the one before, by a stranger, no signature at all.
    fs::write(&file, says(2)).unwrap();
    for text in [ours.sign(&says(1)), stranger.sign(&says(2)), STANDARD.encode([0; 64]), STANDARD.encode("short")] {
        fs::write(&signature, text).unwrap();
        host.rescan();
        assert!(problem().unwrap().contains(&SignatureError::Wrong.to_string()), "{:?}", problem());
        assert_eq!(ttl(&host), Some(1), "what ran before goes on");
    }
    fs::write(&signature, "not base64!").unwrap();
    host.rescan();
    assert!(problem().unwrap().contains(&SignatureError::Malformed.to_string()), "{:?}", problem());

    fs::write(&signature, ours.sign(&says(2))).unwrap();
    host.rescan();
    assert_eq!((problem(), ttl(&host)), (None, Some(2)));
}

#[test]
fn a_signature_that_nobody_asks_for_stands_in_nobodys_way() {
    let root = tempfile::tempdir().unwrap();
    let folder = root.path().join("plugins.d");
    fs::create_dir_all(&folder).unwrap();
    fs::write(folder.join("10-canary.wasm"), says(1)).unwrap();
    // Longer than any signature: where one is asked for, its file is refused.
    fs::write(folder.join("10-canary.wasm.sig"), "x".repeat(1_000)).unwrap();
    let host = PluginHost::new(config(root.path(), Vec::new())).unwrap();
    assert_eq!(ttl(&host), Some(1));
    let (host, _) = trusting(root.path(), &[Key::new(1).public()]);
    let State::Refused(reason) = status(&host, "10-canary").unwrap().state else { panic!("it runs") };
    assert!(reason.starts_with("its .sig "), "{reason}");
}

#[test]
fn keys_must_be_keys() {
    let refused = |keys: &[&str]| Trust::new(&keys.iter().map(|&key| key.to_owned()).collect::<Vec<_>>()).unwrap_err();
    assert_eq!(refused(&[]), TrustError::NoKey);
    assert_eq!(refused(&["a2V5"]), TrustError::Key("a2V5".into()));
    assert_eq!(refused(&["?"]), TrustError::Key("?".into()));
    assert_eq!(refused(&[Key::new(1).public().as_str(); 33]), TrustError::TooManyKeys);
}

/// The commands of host/agent/README.md, with the real tool.
#[test]
fn what_openssl_signs_is_loaded() {
    let root = tempfile::tempdir().unwrap();
    let readme = fs::read_to_string(concat!(env!("CARGO_MANIFEST_DIR"), "/../agent/README.md")).unwrap();
    let (_, rest) = readme.split_once("## Signed plugins").expect("a section on signing");
    let (_, rest) = rest.split_once("```sh\n").expect("its commands");
    let (commands, _) = rest.split_once("```").expect("their end");
    fs::write(root.path().join("10-canary.wasm"), says(7)).unwrap();
    let run = Command::new("sh").args(["-ec", commands]).current_dir(root.path()).output().unwrap();
    assert!(run.status.success(), "{}", String::from_utf8_lossy(&run.stderr));
    let public = String::from_utf8(run.stdout).unwrap();

    let (host, folder) = trusting(root.path(), &[public.trim().to_owned()]);
    for name in ["10-canary.wasm", "10-canary.wasm.sig"] {
        fs::copy(root.path().join(name), folder.join(name)).unwrap();
    }
    host.rescan();
    assert_eq!(ttl(&host), Some(7), "{:?}", status(&host, "10-canary"));
}
