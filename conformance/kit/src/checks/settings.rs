//! Settings that make no sense: refused with a message, or taken; never a trap.

use serde_json::{Value, json};
use servos_sandbox::{Fault, LoadError, Manifest};

use crate::limits::{DEEP_SETTING, LONG_SETTING};
use crate::subject::Subject;

/// Gives it nonsense.
pub(crate) fn refused_gracefully(subject: &Subject<'_>) -> Result<String, String> {
    let settings = nonsense();
    let mut refused = 0;
    for (what, text) in &settings {
        let mut manifest = Manifest::default();
        manifest.settings.clone_from(text);
        match subject.load(&manifest) {
            Ok(_) => {}
            Err(LoadError::Start(Fault::Settings(message))) if !message.is_empty() => refused += 1,
            Err(LoadError::Start(Fault::Settings(_))) => return Err(format!("{what}: refused without a message")),
            Err(error) => return Err(format!("{what}: {error}")),
        }
    }
    Ok(format!("{refused} of {} refused with a message, the others taken", settings.len()))
}

/// What it is, and the JSON text.
fn nonsense() -> Vec<(&'static str, String)> {
    let object = |value: Value| json!({ "no-such-setting": value }).to_string();
    vec![
        ("an unknown setting", object(json!(true))),
        ("an unknown setting, null", object(Value::Null)),
        ("a long setting", object(json!("x".repeat(LONG_SETTING)))),
        ("a deep setting", format!("{{\"a\":{}{}}}", "[".repeat(DEEP_SETTING), "]".repeat(DEEP_SETTING))),
        ("odd characters", object(json!("\u{0}\u{1b}[31m\u{202e}\u{1f980}"))),
        ("a number beyond all bounds", "{\"no-such-setting\":1e999}".to_owned()),
        ("an empty key", json!({ "": {} }).to_string()),
    ]
}
