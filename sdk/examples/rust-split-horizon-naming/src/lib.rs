//! Example plugin: a name means another server on other servers. The agent answers the programs of its own server alone,
//! so who asks is the server that the plugin runs on.

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use servos_plugin_sdk::naming::{Directory, Naming, Outcome, Question};

/// The plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct SplitHorizon {
    /// For each name its views; the first that fits counts.
    names: BTreeMap<String, Vec<View>>,
}

#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct View {
    /// How the names of the servers begin that see it; empty: all.
    seen_by: String,
    /// The server that the name means there.
    server: String,
}

impl Naming for SplitHorizon {
    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome {
        let Some(views) = self.names.get(&question.name) else { return Outcome::Pass };
        let own = mesh.this_server().name;
        let view = views.iter().find(|view| own.starts_with(&view.seen_by));
        match view.and_then(|view| mesh.server_by_name(&view.server)) {
            // For whoever has no view of it the name does not exist, whatever a plugin behind this one knows.
            None => Outcome::NoSuchName,
            Some(server) => question.answer_a(5, server.address),
        }
    }
}

servos_plugin_sdk::naming_plugin!(SplitHorizon);
