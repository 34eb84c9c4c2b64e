//! What an operator reads when settings are wrong.

use serde::Deserialize;
use servos_plugin_sdk::settings::parse;

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct Settings {
    ttl: u32,
}

#[test]
fn settings_of_the_plugins_own_type() {
    assert_eq!(parse::<Settings>(r#"{ "ttl": 5 }"#).expect("settings").ttl, 5);
}

#[test]
fn errors_name_the_field_and_no_place_in_a_text_that_nobody_wrote() {
    for (text, words) in [
        ("{}", "settings: missing field `ttl`"),
        (r#"{ "ttl": 5, "tll": 6 }"#, "settings: unknown field `tll`, expected `ttl`"),
        (r#"{ "ttl": "x" }"#, "settings: invalid type: string \"x\", expected u32"),
    ] {
        assert_eq!(parse::<Settings>(text).expect_err(text), words);
    }
}
