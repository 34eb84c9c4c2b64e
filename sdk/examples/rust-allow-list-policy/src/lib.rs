//! Example plugin: a service is reached from the servers of the services that the settings name, and from nowhere else;
//! what no rule lets in, ufw's default keeps out.

#[cfg(test)]
mod tests;

use std::collections::{BTreeMap, BTreeSet};

use servos_plugin_sdk::log::{Level, log};
use servos_plugin_sdk::policy::{Action, Context, Directory, Policy, Rule, Source};

/// Rules that the agent takes; more would be a fault.
const MAX_RULES: usize = 256;

/// The plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct AllowList {
    /// For each service those that may reach it.
    clients: BTreeMap<String, Vec<String>>,
}

impl Policy for AllowList {
    fn rules(&self, mesh: &dyn Directory, context: &Context) -> Vec<Rule> {
        let mut rules = BTreeSet::new();
        for instance in &context.instances {
            for client in self.clients.get(&instance.service).into_iter().flatten() {
                rules.extend(mesh.instances(client).into_iter().map(|from| Rule {
                    action: Action::Allow,
                    transport: instance.transport,
                    ports: (instance.port, instance.port),
                    source: Source::Network { address: from.server.address, prefix_length: 32 },
                    // No more than the agent takes: a name may have 63 bytes by itself.
                    reason: format!("for {client}").chars().take(64).collect(),
                }));
            }
        }
        if rules.len() > MAX_RULES {
            log(Level::Error, &format!("{} rules are wanted and {MAX_RULES} possible: some are shut out", rules.len()));
        }
        rules.into_iter().take(MAX_RULES).collect()
    }
}

servos_plugin_sdk::policy_plugin!(AllowList);
