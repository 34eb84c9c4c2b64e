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
pub struct MyPlugin {
    settings: Settings,
}

impl Naming for MyPlugin {
    type Settings = Settings;

    fn configure(settings: Settings) -> Result<Self, String> {
        Ok(Self { settings })
    }

    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome {
        if question.name != "hello" {
            return Outcome::Pass;
        }
        let this = mesh.this_server();
        // Nameless until the first state of the mesh has come.
        if this.name.is_empty() || question.record_type != RecordType::A {
            return Outcome::NoData;
        }
        Outcome::Answers(vec![Answer::a(self.settings.ttl, this.address)])
    }
}

servos_plugin_sdk::naming_plugin!(MyPlugin);
