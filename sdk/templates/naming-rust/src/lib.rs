//! A naming plugin for the servos mesh: `hello` is this server.

use servos_plugin_sdk::naming::{Answer, Directory, Naming, Outcome, Question, RecordType};

/// The `[settings]` table of the plugin's file.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Seconds that an answer may be kept.
    pub ttl: u32,
}

impl Default for Settings {
    fn default() -> Self {
        Self { ttl: 5 }
    }
}

/// The plugin.
pub struct MyNaming {
    settings: Settings,
}

impl Naming for MyNaming {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome {
        match (question.name.as_str(), question.record_type) {
            ("hello", RecordType::A) => {
                Outcome::Answers(vec![Answer::a(self.settings.ttl, mesh.this_server().address)])
            }
            ("hello", _) => Outcome::NoData,
            _ => Outcome::Pass,
        }
    }
}

servos_plugin_sdk::naming_plugin!(MyNaming);
