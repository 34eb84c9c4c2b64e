//! A token survives copying whole, and nothing else passes for one.

use proptest::option;
use proptest::prelude::*;
use servos_mesh::{EnrolmentToken, TokenError};

proptest! {
    #[test]
    fn is_read_back(
        host in "[a-z]{1,20}(\\.[a-z]{1,20}){0,3}",
        port in option::of(1_u16..),
        fingerprint in option::of(any::<[u8; 32]>()),
        secret in any::<[u8; 32]>(),
    ) {
        let url = format!("https://{host}{}", port.map(|port| format!(":{port}")).unwrap_or_default());
        let token = EnrolmentToken::new(url.clone(), fingerprint, secret);

        let read: EnrolmentToken = format!("  {}\n", *token.to_text()).parse().unwrap();

        prop_assert_eq!(read.url(), &url);
        prop_assert_eq!(read.fingerprint(), fingerprint.as_ref());
        prop_assert_eq!(*EnrolmentToken::secret_from_bearer(&read.bearer()).unwrap(), secret);
    }

    #[test]
    fn one_wrong_character_is_noticed(secret in any::<[u8; 32]>(), at in any::<prop::sample::Index>(), other in "[A-Za-z0-9_-]") {
        let text = EnrolmentToken::new("https://mesh.example.org:8443", None, secret).to_text();
        let at = at.index(text.len());
        let mut wrong = text.to_string();
        wrong.replace_range(at..=at, &other);
        prop_assume!(wrong != *text);

        prop_assert!(wrong.parse::<EnrolmentToken>().is_err());
    }

    #[test]
    fn no_text_breaks_the_parser(text in "(svt1_)?[ -~]{0,200}") {
        let _ = text.parse::<EnrolmentToken>();
        let _ = EnrolmentToken::secret_from_bearer(&text);
    }
}

#[test]
fn cut_anywhere_it_says_so() {
    let text = EnrolmentToken::new("https://mesh.example.org:8443", Some([1; 32]), [2; 32]).to_text();

    for length in 5..text.len() {
        assert_eq!(text[..length].parse::<EnrolmentToken>(), Err(TokenError::Damaged), "{length}");
    }
    for length in 0..5 {
        assert_eq!(text[..length].parse::<EnrolmentToken>(), Err(TokenError::Text), "{length}");
    }
}

#[test]
fn its_url_is_https_and_nothing_odd() {
    let longest = format!("https://{}", "a".repeat(504));
    for good in
        ["https://a", "https://a:1", "https://192.0.2.1:8443/", "https://[2001:db8::1]:8443", "https://[::1]", &longest]
    {
        assert_eq!(EnrolmentToken::check_url(good), Ok(()), "{good}");
        let token = EnrolmentToken::new(good, Some([1; 32]), [2; 32]);
        assert_eq!(token.to_text().parse(), Ok(token), "{good}");
    }
    let too_long = format!("{longest}a");
    for bad in [
        "",
        "http://a",
        "https://",
        "https:///path",
        "https://:8443",
        "https://a:",
        "https://a:0",
        "https://a:65536",
        "https://a:+1",
        "https://user@a",
        "https://a?x",
        "https://a#x",
        "https://a b",
        "https://a\n",
        "https://ä",
        &too_long,
    ] {
        assert_eq!(EnrolmentToken::check_url(bad), Err(TokenError::Url), "{bad}");
        let text = EnrolmentToken::new(bad, None, [2; 32]).to_text();
        assert_eq!(text.parse::<EnrolmentToken>(), Err(TokenError::Url), "{bad}");
    }
}

#[test]
fn debug_hides_the_secret() {
    let token = EnrolmentToken::new("https://a", None, *b"a secret of thirty-two bytes ...");

    let seen = format!("{token:?}");

    assert!(seen.contains("https://a") && !seen.contains("97") && !seen.contains("secret"), "{seen}");
}
