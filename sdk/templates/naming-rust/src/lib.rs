//! A naming plugin for the servos mesh: `hello` is this server.

use servos_plugin_sdk::naming::{Directory, Naming, Outcome, Question};

/// The plugin. It is the `[settings]` table of its file.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MyPlugin {
    /// Seconds that an answer may be kept.
    pub ttl: u32,
}

impl Default for MyPlugin {
    fn default() -> Self {
        Self { ttl: 5 }
    }
}

impl Naming for MyPlugin {
    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome {
        if question.name != "hello" {
            return Outcome::Pass;
        }
        let this = mesh.this_server();
        // Nameless until the first state of the mesh has come.
        if this.name.is_empty() {
            return Outcome::NoData;
        }
        question.answer_a(self.ttl, this.address)
    }
}

servos_plugin_sdk::naming_plugin!(MyPlugin);
