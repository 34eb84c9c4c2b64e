//! Default policy plugin: WireGuard's port, the ports of what runs here, and rules from the settings.

mod limits;
mod settings;

use std::collections::BTreeSet;

use servos_plugin_sdk::log::{Level, log};
use servos_plugin_sdk::policy::{Action, Context, Directory, Policy, Rule, Source, Transport};

use limits::{MAX_REASON, MAX_RULES, MAX_SETTINGS_RULES};

pub use settings::{RuleSetting, Settings};

/// The plugin.
#[derive(serde::Deserialize)]
#[serde(try_from = "Settings")]
pub struct UfwPolicy {
    rules: Vec<Rule>,
    instances: bool,
}

servos_plugin_sdk::policy_plugin!(UfwPolicy);

impl TryFrom<Settings> for UfwPolicy {
    type Error = String;

    fn try_from(settings: Settings) -> Result<Self, String> {
        if settings.rules.len() > MAX_SETTINGS_RULES {
            return Err(format!("rules: {} are given, {MAX_SETTINGS_RULES} at most", settings.rules.len()));
        }
        let rules = settings.rules.iter().map(RuleSetting::rule).collect::<Result<_, _>>()?;
        Ok(Self { rules, instances: settings.instances })
    }
}

impl Policy for UfwPolicy {
    fn rules(&self, _mesh: &dyn Directory, context: &Context) -> Vec<Rule> {
        let mut rules = vec![allow(Transport::Udp, context.wireguard_port, Source::Anywhere, "wireguard")];
        // The first rule that fits decides: the operator's word stands before what runs here.
        rules.extend(self.rules.iter().cloned());
        if self.instances {
            rules.extend(of_instances(context));
            rules.extend(of_proxy(context));
        }
        let mut seen = BTreeSet::new();
        rules.retain(|rule| seen.insert((rule.transport, rule.ports, rule.source)));
        if rules.len() > MAX_RULES {
            log(Level::Warn, &format!("{} rules are wanted and {MAX_RULES} are taken: the last stay out", rules.len()));
            rules.truncate(MAX_RULES);
        }
        rules
    }
}

/// By transport, port and name, so that their order in the mesh changes nothing.
fn of_instances(context: &Context) -> Vec<Rule> {
    let instances: BTreeSet<_> =
        context.instances.iter().map(|instance| (instance.transport, instance.port, &instance.service)).collect();
    let rule = |(transport, port, service)| allow(transport, port, Source::Mesh, &format!("service {service}"));
    instances.into_iter().map(rule).collect()
}

fn of_proxy(context: &Context) -> Vec<Rule> {
    let ports: BTreeSet<_> = context.proxy_ports.iter().copied().collect();
    ports.into_iter().map(|port| allow(Transport::Tcp, port, Source::Mesh, "failover proxy")).collect()
}

fn allow(transport: Transport, port: u16, source: Source, reason: &str) -> Rule {
    let reason = reason.chars().take(MAX_REASON).collect();
    Rule { action: Action::Allow, transport, ports: (port, port), source, reason }
}
