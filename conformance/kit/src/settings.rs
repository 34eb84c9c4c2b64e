//! Settings that make no sense: each is refused with a message, and none makes the plugin trap.

use serde_json::{Map, Value, json};
use servos_sandbox::{Fault, LoadError};

use crate::findings::Findings;
use crate::limits::{DEEP_SETTING, LONG_SETTING};
use crate::subject::Subject;
use crate::{CheckId, faults};

/// Gives it nonsense beside its own settings, and in their place.
pub(crate) fn refused(subject: &Subject<'_>, findings: &mut Findings) {
    // The manifest's settings are an object of JSON; from elsewhere they might be none, and are replaced.
    let own = serde_json::from_str(&subject.manifest.settings).unwrap_or_default();
    let nonsense = [unknown(&own), of_another_type(&own)].concat();
    for (what, settings) in &nonsense {
        match subject.with_settings(settings.clone()) {
            Ok(_) => findings.fault(CheckId::SettingsRefused, format!("{what} is taken")),
            Err(LoadError::Start(Fault::Settings(message))) if message.is_empty() => {
                findings.fault(CheckId::SettingsRefused, format!("{what} is refused without a message"));
            }
            Err(LoadError::Start(Fault::Settings(_))) => {}
            Err(error) => {
                let check = faults::of_load(&error).unwrap_or(CheckId::ConfigureSound);
                findings.fault(check, format!("{what}: {error}"));
            }
        }
    }
    findings.seen(CheckId::SettingsRefused, format!("{} settings refused, each with a message", nonsense.len()));
}

/// A setting beside its own that no plugin has.
fn unknown(own: &Map<String, Value>) -> Vec<(String, String)> {
    let text = |value: Value| value.to_string();
    let named = |value: &str| format!("\"no-such-setting\":{value}");
    let nonsense = [
        ("an unknown setting", named("true")),
        ("an unknown setting, null", named("null")),
        ("a long setting", named(&text(json!("x".repeat(LONG_SETTING))))),
        ("a deep setting", named(&format!("{}{}", "[".repeat(DEEP_SETTING), "]".repeat(DEEP_SETTING)))),
        ("a setting of odd characters", named(&text(json!("\u{0}\u{1b}[31m\u{202e}\u{1f980}")))),
        ("a number beyond all bounds", named("1e999")),
        ("a setting without a name", "\"\":{}".to_owned()),
    ];
    let text_of_own = text(Value::Object(own.clone()));
    let comma = if own.is_empty() { "" } else { "," };
    let before = format!("{}{comma}", text_of_own.strip_suffix('}').unwrap_or(&text_of_own));
    // Text is put to text: no value of JSON in Rust is as deep, nor holds such a number.
    let with = |setting: String| format!("{before}{setting}}}");
    nonsense.map(|(what, setting)| (what.to_owned(), with(setting))).to_vec()
}

/// Each of its own, as a list in a list, which nobody expects.
fn of_another_type(own: &Map<String, Value>) -> Vec<(String, String)> {
    let other = |name: &String| {
        let mut settings = own.clone();
        settings.insert(name.clone(), json!([[]]));
        (format!("setting {name:?} of another type"), Value::Object(settings).to_string())
    };
    own.keys().map(other).collect()
}
