//! Example plugin: `canary` answers with the server that the settings name.

use servos_plugin_sdk::naming::{Answer, Directory, Naming, Outcome, Question, RecordType};

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Canary {
    /// Its name in the mesh.
    server: String,
}

impl Naming for Canary {
    type Settings = Canary;

    fn configure(settings: Canary) -> Result<Self, String> {
        Ok(settings)
    }

    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome {
        match (question.name.as_str(), question.record_type, mesh.server_by_name(&self.server)) {
            ("canary", RecordType::A, Some(server)) => Outcome::Answers(vec![Answer::a(5, server.address)]),
            ("canary", _, Some(_)) => Outcome::NoData,
            _ => Outcome::Pass,
        }
    }
}

servos_plugin_sdk::naming_plugin!(Canary);
