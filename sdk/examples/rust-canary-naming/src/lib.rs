//! Example plugin: `canary` answers with the server that the settings name.

use servos_plugin_sdk::naming::{Directory, Naming, Outcome, Question};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Canary {
    /// Its name in the mesh.
    server: String,
}

impl Naming for Canary {
    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome {
        let server = mesh.server_by_name(&self.server).filter(|_| question.name == "canary");
        server.map_or(Outcome::Pass, |server| question.answer_a(5, server.address))
    }
}

servos_plugin_sdk::naming_plugin!(Canary);
