//! From a policy's rule to what is put into ufw.

use servos_sandbox::policy;

use crate::limits::MAX_INTERFACE;
use crate::rule::{Action, Network, OWNERSHIP, OwnRule, PortRange, Protocol, Tuple};

/// The rules of ufw that stand for one rule of a policy: one, or one for TCP and one for UDP where ufw knows no better.
///
/// # Errors
///
/// Why it cannot be said to ufw.
pub(crate) fn own_rules(rule: &policy::Rule, interface: &str) -> Result<Vec<OwnRule>, String> {
    let ports = PortRange { first: rule.ports.first(), last: rule.ports.last() };
    let protocols = match rule.transport {
        policy::Transport::Tcp => vec![Protocol::Tcp],
        policy::Transport::Udp => vec![Protocol::Udp],
        // ufw: «Must specify 'tcp' or 'udp' with multiple ports».
        policy::Transport::Any if ports.first != ports.last => vec![Protocol::Tcp, Protocol::Udp],
        policy::Transport::Any => vec![Protocol::Any],
    };
    let source = |mut tuple: Tuple| {
        match rule.source {
            policy::Source::Anywhere => {}
            policy::Source::Mesh if is_interface(interface) => tuple.interface_in = Some(interface.to_owned()),
            policy::Source::Mesh => return Err(format!("{interface:?} is no interface that ufw takes")),
            // ufw takes it for any address, of IPv6 too, and says so only in part.
            policy::Source::Network(network) if network.prefix_length() == 0 => {
                return Err("0.0.0.0/0 is no network to ufw: the rule must say `anywhere`".to_owned());
            }
            policy::Source::Network(network) => {
                tuple.source.network = Some(Network::Prefix(network.address().into(), network.prefix_length()));
            }
        }
        Ok(tuple)
    };
    let reason = rule.reason.as_str().trim();
    let comment = format!("{OWNERSHIP} {}", if reason.is_empty() { "policy" } else { reason });
    protocols
        .into_iter()
        .map(|protocol| {
            let tuple = source(Tuple::incoming(protocol, ports))?;
            Ok(OwnRule { action: action(rule.action), tuple, comment: comment.clone() })
        })
        .collect()
}

/// A policy's rule, for people.
pub(crate) fn describe(rule: &policy::Rule) -> String {
    let source = match rule.source {
        policy::Source::Anywhere => "anywhere".to_owned(),
        policy::Source::Mesh => "the mesh".to_owned(),
        policy::Source::Network(network) => network.to_string(),
    };
    let transport = match rule.transport {
        policy::Transport::Tcp => "/tcp",
        policy::Transport::Udp => "/udp",
        policy::Transport::Any => "",
    };
    format!("{} {}{transport} from {source} ({})", action(rule.action), rule.ports, rule.reason)
}

fn action(action: policy::Action) -> Action {
    match action {
        policy::Action::Allow => Action::Allow,
        policy::Action::Deny => Action::Deny,
        policy::Action::Limit => Action::Limit,
    }
}

/// What ufw takes for an interface (`set_interface` in its `common.py`).
fn is_interface(name: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"_-.+,=%@".contains(&byte);
    (1..=MAX_INTERFACE).contains(&name.len()) && name.bytes().all(allowed) && name != "." && name != ".."
}
