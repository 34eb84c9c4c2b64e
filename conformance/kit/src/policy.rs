//! What a policy plugin is asked, and the guard rails that its rules must keep to.

use std::sync::Arc;

use servos_firewall::{Facts, GuardRails, UfwState, plan};
use servos_mesh::Snapshot;
use servos_sandbox::policy::{Action, LocalInstance, PolicyContext, Rule, Source, Transport};
use servos_sandbox::{Plugin, Unanswered};

use crate::limits::MANY_LOCAL_INSTANCES;
use crate::meshes::{LONG_LABEL, MESHES};
use crate::{CheckId, exam};

/// Where SSH listens unless an operator says otherwise.
const SSH: u16 = 22;

/// Bits of a network that is so large that it stands for the world.
const WORLD: u8 = 7;

/// A context in a mesh.
pub(crate) struct Asked {
    place: &'static str,
    mesh: Arc<Snapshot>,
    what: &'static str,
    context: PolicyContext,
}

/// Every context that a server may have, in the small mesh.
pub(crate) fn everyday() -> Vec<Asked> {
    asked_in("small", &MESHES.small, contexts()).collect()
}

/// The same in the others, and more than a server has.
pub(crate) fn odd() -> Vec<Asked> {
    let mut asked: Vec<_> = asked_in("small", &MESHES.small, [many()]).collect();
    for (place, mesh) in MESHES.all().into_iter().filter(|(place, _)| *place != "small") {
        asked.extend(asked_in(place, mesh, contexts()));
    }
    asked
}

impl exam::Question for Asked {
    type Answer = Vec<Rule>;

    fn ask(&self, plugin: &Plugin) -> Result<Vec<Rule>, Unanswered> {
        plugin.rules(&self.mesh, &self.context)
    }

    fn describe(&self) -> String {
        format!("{} in the {} mesh", self.what, self.place)
    }

    fn objections(&self, rules: &Vec<Rule>) -> Vec<(CheckId, String)> {
        let opens = |rule: &&Rule| opens_ssh(rule);
        let open = rules.iter().filter(opens).map(|rule| (CheckId::RuleSshOpen, format!("{rule:?}")));
        open.chain(self.left_out(rules)).collect()
    }
}

impl Asked {
    /// What the agent's own guard rails leave out, on a server whose firewall is on and has no other rules.
    fn left_out(&self, rules: &[Rule]) -> Vec<(CheckId, String)> {
        let facts = Facts { ufw: UfwState::Active, rules: Vec::new(), ssh_ports: vec![SSH] };
        let guard = GuardRails {
            interface: self.context.interface.clone(),
            wireguard_port: self.context.wireguard_port,
            enable_ufw: false,
        };
        let refused = plan(Some(rules), &facts, &guard).refused;
        let named = |because: &str| match () {
            () if because.contains("SSH") => CheckId::RuleSshClosed,
            () if because.contains("WireGuard") => CheckId::RuleWireguard,
            () => CheckId::RuleConflict,
        };
        refused.iter().map(|refused| (named(&refused.because), refused.to_string())).collect()
    }
}

fn opens_ssh(rule: &Rule) -> bool {
    let world = match rule.source {
        Source::Anywhere => true,
        Source::Mesh => false,
        Source::Network(network) => network.prefix_length() <= WORLD,
    };
    // To limit it counts as closing it.
    world && rule.action == Action::Allow && rule.transport != Transport::Udp && rule.ports.contains(SSH)
}

fn asked_in(
    place: &'static str,
    mesh: &Arc<Snapshot>,
    contexts: impl IntoIterator<Item = (&'static str, PolicyContext)>,
) -> impl Iterator<Item = Asked> {
    let asked = move |(what, context)| Asked { place, mesh: mesh.clone(), what, context };
    contexts.into_iter().map(asked)
}

/// Port 0 is in none: neither the wire nor a proxy has it.
fn contexts() -> [(&'static str, PolicyContext); 4] {
    let everyday = vec![
        instance("api", Transport::Tcp, 8_080),
        instance("syslog", Transport::Udp, 514),
        instance("api", Transport::Tcp, 8_080),
    ];
    let extreme = vec![
        instance(LONG_LABEL, Transport::Tcp, 1),
        instance("any", Transport::Any, 65_535),
        instance("ssh", Transport::Tcp, 22),
    ];
    [
        ("nothing runs here", context(51_820, "wg0", Vec::new(), Vec::new())),
        ("an everyday server", context(51_820, "wg0", everyday, vec![80, 443])),
        ("ports at their limits", context(65_535, "wg0", extreme, vec![1, 22, 65_535])),
        ("the lowest port and a long interface", context(1, "a-long-interfac", Vec::new(), Vec::new())),
    ]
}

fn many() -> (&'static str, PolicyContext) {
    let many = (0..MANY_LOCAL_INSTANCES).map(|at| instance("many", Transport::Tcp, 1_024 + 2 * at)).collect();
    ("more instances than rules", context(51_820, "wg0", many, (1..=1_000).collect()))
}

fn context(
    wireguard_port: u16,
    interface: &str,
    instances: Vec<LocalInstance>,
    proxy_ports: Vec<u16>,
) -> PolicyContext {
    PolicyContext { wireguard_port, interface: interface.to_owned(), instances, proxy_ports }
}

fn instance(service: &str, transport: Transport, port: u16) -> LocalInstance {
    LocalInstance { service: service.to_owned(), transport, port }
}
