//! Policies, facts and guard rails for the tests, in few words.

#![cfg(test)]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod namespace;

use servos_firewall::{ExistingRule, Facts, GuardRails, UfwState};
use servos_sandbox::policy::{Action, Network, PortRange, Reason, Rule, Source, Transport};

/// A policy's rule from words like `allow 80/tcp mesh web`: action, ports, transport, source, reason.
pub fn rule(text: &str) -> Rule {
    let mut words = text.split(' ');
    let action = match words.next().unwrap() {
        "allow" => Action::Allow,
        "deny" => Action::Deny,
        "limit" => Action::Limit,
        other => panic!("{other}"),
    };
    let (ports, transport) = words.next().unwrap().split_once('/').unwrap();
    let (first, last) = ports.split_once(':').unwrap_or((ports, ports));
    let transport = match transport {
        "tcp" => Transport::Tcp,
        "udp" => Transport::Udp,
        _ => Transport::Any,
    };
    let source = match words.next().unwrap() {
        "anywhere" => Source::Anywhere,
        "mesh" => Source::Mesh,
        network => {
            let (address, length) = network.split_once('/').unwrap();
            Source::Network(Network::new(address.parse().unwrap(), length.parse().unwrap()).unwrap())
        }
    };
    let ports = PortRange::new(first.parse().unwrap(), last.parse().unwrap()).unwrap();
    let reason = Reason::new(words.collect::<Vec<_>>().join(" ")).unwrap();
    Rule { action, transport, ports, source, reason }
}

pub fn rules(texts: &[&str]) -> Vec<Rule> {
    texts.iter().map(|text| rule(text)).collect()
}

/// An active ufw with these rules, SSH on 22.
pub fn active(lines: &[&str]) -> Facts {
    let rules = lines.iter().map(|line| ExistingRule::parse(line)).collect();
    Facts { ufw: UfwState::Active, rules, ssh_ports: vec![22] }
}

pub fn inactive(lines: &[&str]) -> Facts {
    Facts { ufw: UfwState::Inactive, ..active(lines) }
}

pub const RAIL: &str = "allow 51820/udp comment 'servos-mesh: wireguard'";

pub fn guard() -> GuardRails {
    GuardRails { interface: "wg0".into(), wireguard_port: 51820, enable_ufw: false }
}

pub fn enabling() -> GuardRails {
    GuardRails { enable_ufw: true, ..guard() }
}
