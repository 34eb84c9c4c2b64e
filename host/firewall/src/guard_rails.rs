//! What no policy can talk the host out of: WireGuard's port is open, and SSH never becomes harder to reach.

use serde::Serialize;

use crate::existing::ExistingRule;
use crate::rule::{Action, OWNERSHIP, OwnRule, PortRange, Protocol, Tuple};

/// What the guard rails must know of this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct GuardRails {
    /// The mesh interface, for example `wg0`.
    pub interface: String,
    /// UDP port of the mesh's WireGuard, for example 51820.
    pub wireguard_port: u16,
    /// Whether an inactive ufw may be enabled.
    pub enable_ufw: bool,
}

/// Who gets through to a port.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Reach {
    /// Nobody that a rule lets in.
    Nobody,
    /// Some addresses, or by some interface.
    Some,
    /// Anyone.
    Anyone,
}

/// Who gets through to a TCP port by these rules, the first that matches deciding. What ufw does with traffic that no
/// rule matches is left out: it does not change here.
pub fn reach<'a>(rules: impl IntoIterator<Item = (Action, &'a Tuple)>, port: u16) -> Reach {
    let traffic = Tuple::incoming(Protocol::Tcp, PortRange { first: port, last: port });
    let mut reach = Reach::Nobody;
    let mut closed: Vec<&Tuple> = Vec::new();
    for (action, tuple) in rules {
        match action {
            Action::Allow | Action::Limit if tuple.covers(&traffic) => return Reach::Anyone,
            // An application profile may cover the port or not: then it is not counted on.
            Action::Allow | Action::Limit if tuple.overlaps(&traffic) && !has_application(tuple) => {
                let let_in =
                    Tuple { protocol: Protocol::Tcp, destination: traffic.destination.clone(), ..tuple.clone() };
                if !closed.iter().any(|closed| closed.covers(&let_in)) {
                    reach = Reach::Some;
                }
            }
            Action::Deny | Action::Reject if tuple.covers(&traffic) => return reach,
            Action::Deny | Action::Reject => closed.push(tuple),
            Action::Allow | Action::Limit => {}
        }
    }
    reach
}

impl GuardRails {
    /// The rule that keeps WireGuard reachable.
    pub(crate) fn wireguard_rail(&self) -> OwnRule {
        let port = PortRange { first: self.wireguard_port, last: self.wireguard_port };
        let tuple = Tuple::incoming(Protocol::Udp, port);
        OwnRule { action: Action::Allow, tuple, comment: format!("{OWNERSHIP} wireguard") }
    }

    /// The rule that keeps SSH reachable when ufw is enabled.
    pub(crate) fn ssh_rail(port: u16) -> OwnRule {
        let tuple = Tuple::incoming(Protocol::Tcp, PortRange { first: port, last: port });
        OwnRule { action: Action::Allow, tuple, comment: format!("{OWNERSHIP} ssh") }
    }

    /// Why a rule that a policy asks for must not be, if so.
    pub(crate) fn objection(&self, rule: &OwnRule, ssh_ports: &[u16]) -> Option<String> {
        if rule.action == Action::Allow {
            return None;
        }
        let verb = if rule.action == Action::Limit { "limit" } else { "close" };
        if rule.tuple.overlaps(&self.wireguard_rail().tuple) {
            return Some(format!("it would {verb} WireGuard's port {}/udp", self.wireguard_port));
        }
        let closed = ssh_ports.iter().find(|port| rule.tuple.overlaps(&Self::ssh_rail(**port).tuple))?;
        Some(format!("it would {verb} SSH on port {closed}/tcp"))
    }
}

/// Why a rule must not go, if so: with those of `rules` that stay, and `added` behind them, SSH would be harder to
/// reach than with all of `rules`.
pub(crate) fn ssh_needs(
    rules: &[ExistingRule],
    stays: impl Fn(&ExistingRule) -> bool,
    added: &[&OwnRule],
    ssh_ports: &[u16],
) -> Option<String> {
    let port = ssh_ports.iter().find(|port| {
        let before = reach(rules.iter().filter_map(decides), **port);
        let added = added.iter().map(|rule| (rule.action, &rule.tuple));
        let after = reach(rules.iter().filter(|rule| stays(rule)).filter_map(decides).chain(added), **port);
        after < before
    })?;
    Some(format!("without it SSH on port {port}/tcp would be harder to reach; delete it by hand if that is meant"))
}

/// A foreign rule that closes the port to everyone when ufw is enabled, or may do so.
pub(crate) fn closes_ssh(rules: &[ExistingRule], port: u16) -> Option<&ExistingRule> {
    let traffic = Tuple::incoming(Protocol::Tcp, PortRange { first: port, last: port });
    for rule in rules {
        match (rule.action, &rule.tuple) {
            (Some(Action::Allow | Action::Limit), Some(tuple)) if tuple.covers(&traffic) => return None,
            (Some(Action::Allow | Action::Limit), _) => {}
            // A rule against certain addresses is the operator's own business.
            (_, Some(tuple)) if tuple.overlaps(&traffic) && tuple.source.network.is_none() => return Some(rule),
            (_, None) => return Some(rule),
            _ => {}
        }
    }
    None
}

pub(crate) fn decides(rule: &ExistingRule) -> Option<(Action, &Tuple)> {
    rule.action.zip(rule.tuple.as_ref())
}

fn has_application(tuple: &Tuple) -> bool {
    let application = |side: &crate::rule::Side| matches!(side.ports, crate::rule::Ports::Application(_));
    application(&tuple.source) || application(&tuple.destination)
}
