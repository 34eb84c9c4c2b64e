//! A policy plugin for the servos mesh: other servers of the mesh reach what runs here.

use std::collections::BTreeSet;

use servos_plugin_sdk::policy::{Action, Context, Directory, Policy, Rule, Source, Transport};

/// Most rules that are taken.
const MAX_RULES: usize = 256;

/// Most characters of a reason.
const MAX_REASON: usize = 64;

/// The plugin. It is the `[settings]` table of its file.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MyPlugin {
    /// Whether the ports of the failover proxy are open to the mesh as well.
    pub proxy: bool,
}

impl Default for MyPlugin {
    fn default() -> Self {
        Self { proxy: true }
    }
}

impl Policy for MyPlugin {
    fn rules(&self, _mesh: &dyn Directory, context: &Context) -> Vec<Rule> {
        let mut rules = vec![allow(Transport::Udp, context.wireguard_port, Source::Anywhere, "wireguard")];
        for instance in &context.instances {
            let reason = format!("service {}", instance.service);
            rules.push(allow(instance.transport, instance.port, Source::Mesh, &reason));
        }
        if self.proxy {
            let ports = context.proxy_ports.iter();
            rules.extend(ports.map(|&port| allow(Transport::Tcp, port, Source::Mesh, "failover proxy")));
        }
        let mut seen = BTreeSet::new();
        rules.retain(|rule| seen.insert((rule.transport, rule.ports, rule.source)));
        rules.truncate(MAX_RULES);
        rules
    }
}

fn allow(transport: Transport, port: u16, source: Source, reason: &str) -> Rule {
    let reason = reason.chars().take(MAX_REASON).collect();
    Rule { action: Action::Allow, transport, ports: (port, port), source, reason }
}

servos_plugin_sdk::policy_plugin!(MyPlugin);
