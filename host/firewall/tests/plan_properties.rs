//! The plan against two references: a ufw in a dozen lines, and what becomes of every packet of a small world.

#![cfg(test)]

mod common;

use std::net::Ipv4Addr;

use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use proptest::sample::{Index, select};
use servos_firewall::{
    Action, Direction, ExistingRule, Facts, FirewallPlan, GuardRails, Network, Owner, Ports, Protocol, Reach, Step,
    Tuple, UfwState, plan, plan_decommission, reach,
};
use servos_sandbox::policy;

const SSH: u16 = 3;
const WIREGUARD: u16 = 5;
const PORTS: std::ops::RangeInclusive<u16> = 1..=9;

proptest! {
    #[test]
    fn a_plan_once_done_asks_for_nothing_more(facts in any_facts(), desired in any_desired(), guard in any_guard()) {
        let planned = plan(desired.as_deref(), &facts, &guard).steps;
        let after = apply(&facts, |facts| plan(desired.as_deref(), facts, &guard));

        prop_assert_eq!(plan(desired.as_deref(), &after, &guard).steps, []);
        prop_assert_eq!(after == facts, planned.is_empty());
    }

    #[test]
    fn the_operators_rules_stay_as_they_are(facts in any_facts(), desired in any_desired(), guard in any_guard()) {
        let after = apply(&facts, |facts| plan(desired.as_deref(), facts, &guard));

        prop_assert_eq!(operators(&after), operators(&facts));
    }

    /// Wherever ufw should fail, SSH is no harder to reach than before.
    #[test]
    fn ssh_is_never_harder_to_reach(facts in any_facts(), desired in any_desired(), guard in any_guard()) {
        let steps = plan(desired.as_deref(), &facts, &guard).steps;
        for done in 0..=steps.len() {
            let half_way = perform_all(&facts, &steps[..done]);
            prop_assert!(facts.ufw == UfwState::Inactive || ssh(&half_way) >= ssh(&facts));
        }
        let enabled = steps.contains(&Step::Enable);
        prop_assert!(!enabled || ssh(&perform_all(&facts, &steps)) == Reach::Anyone);
        prop_assert!(!enabled || guard.enable_ufw);
    }

    #[test]
    fn without_an_answer_only_guard_rails_are_set(facts in any_facts(), guard in any_guard()) {
        for step in plan(None, &facts, &guard).steps {
            match step {
                Step::Set(rule) => prop_assert!(rule.comment.ends_with(" wireguard") || rule.comment.ends_with(" ssh")),
                Step::Enable => prop_assert!(guard.enable_ufw),
                Step::Delete(rule) => prop_assert!(false, "deletes {}", rule),
            }
        }
    }

    #[test]
    fn every_packet_fares_as_the_operator_and_then_the_policy_say(
        facts in any_facts(),
        desired in vec(any_policy_rule(), 0..8),
        earlier in vec(any::<Index>(), 0..4),
        guard in any_guard(),
    ) {
        // The policy wanted some of it before, in another order.
        let earlier: Vec<_> = earlier.iter().filter(|_| !desired.is_empty()).map(|at| at.get(&desired).clone()).collect();
        let facts = apply(&facts, |facts| plan(Some(&earlier), facts, &guard));
        let after = apply(&facts, |facts| plan(Some(&desired), facts, &guard));
        let plan = plan(Some(&desired), &after, &guard);
        let had_own = facts.rules.iter().any(ExistingRule::is_ours);
        // What must stay for SSH's sake is there beside what the policy says.
        let stayed: Vec<Tuple> = plan.kept.iter().filter(|kept| kept.owner == Owner::Mesh)
            .map(|kept| ExistingRule::parse(&kept.rule).tuple.unwrap()).collect();
        let rail_for_ssh = after.rules.iter().any(|rule| rule.comment.as_deref() == Some("servos-mesh: ssh"));

        for packet in Packet::all() {
            if stayed.iter().any(|tuple| packet.matches(tuple)) || rail_for_ssh && packet.is_ssh() {
                continue;
            }
            let fares = packet.fares(after.rules.iter().map(|rule| (rule.action.unwrap(), rule.tuple.as_ref().unwrap())));
            let by_operator = packet.fares(
                facts.rules.iter().filter(|rule| !rule.is_ours()).map(|rule| (rule.action.unwrap(), rule.tuple.as_ref().unwrap())),
            );
            match by_operator {
                None => prop_assert_eq!(fares, packet.fares_by_policy(&desired), "{:?} in\n{:#?}", packet, texts(&after)),
                // A rule of the mesh may stand before a later one of the operator's that overlaps it.
                Some(_) if had_own => {}
                Some(_) => prop_assert_eq!(fares, by_operator, "{:?} in\n{:#?}", packet, texts(&after)),
            }
        }
    }

    #[test]
    fn decommissioning_leaves_the_operators_rules_and_what_ssh_needs(facts in any_facts()) {
        let after = apply(&facts, plan_decommission);

        let plan = plan_decommission(&after);
        let kept: Vec<&str> = plan.kept.iter().map(|kept| kept.rule.as_str()).collect();
        let left: Vec<String> = texts(&after).into_iter().filter(|text| !kept.contains(&text.as_str())).collect();
        prop_assert_eq!(left, operators(&facts));
        prop_assert!(facts.ufw == UfwState::Inactive || ssh(&after) >= ssh(&facts));
        prop_assert_eq!(plan.steps, []);
    }
}

/// As the crate applies: one command, then a look at what is there, then a plan anew.
fn apply(facts: &Facts, planner: impl Fn(&Facts) -> FirewallPlan) -> Facts {
    let mut facts = facts.clone();
    for _ in 0..100 {
        let steps = planner(&facts).steps;
        let Some(step) = steps.first() else {
            return facts;
        };
        facts = perform_all(&facts, std::slice::from_ref(step));
    }
    panic!("does not come to an end at {:#?}", texts(&facts));
}

/// ufw as far as a plan can tell: a rule of a known tuple is replaced in its place, another goes to the end; a deletion
/// takes the exact rule.
fn perform_all(facts: &Facts, steps: &[Step]) -> Facts {
    let mut facts = facts.clone();
    for step in steps {
        match step {
            Step::Set(rule) => {
                let line = ExistingRule::parse(&rule.to_string());
                let place = facts.rules.iter().position(|other| other.tuple == line.tuple);
                facts.rules.retain(|other| other.tuple != line.tuple);
                facts.rules.insert(place.unwrap_or(facts.rules.len()).min(facts.rules.len()), line);
            }
            Step::Delete(rule) => {
                let arguments = step.arguments();
                assert!(arguments[0] == "delete" && arguments[arguments.len() - 2] == "comment");
                facts.rules.retain(|other| other != rule);
            }
            Step::Enable => facts.ufw = UfwState::Active,
        }
    }
    facts
}

fn texts(facts: &Facts) -> Vec<String> {
    facts.rules.iter().map(|rule| rule.text.clone()).collect()
}

fn operators(facts: &Facts) -> Vec<String> {
    facts.rules.iter().filter(|rule| !rule.is_ours()).map(|rule| rule.text.clone()).collect()
}

fn ssh(facts: &Facts) -> Reach {
    reach(facts.rules.iter().filter_map(|rule| rule.action.zip(rule.tuple.as_ref())), SSH)
}

/// One packet to this machine.
#[derive(Clone, Copy, Debug)]
struct Packet {
    interface: &'static str,
    protocol: &'static str,
    source: Ipv4Addr,
    port: u16,
}

impl Packet {
    fn all() -> impl Iterator<Item = Self> {
        let sources = [[10, 0, 0, 5], [10, 1, 0, 1], [192, 0, 2, 1]].map(Ipv4Addr::from);
        ["eth0", "wg0"].into_iter().flat_map(move |interface| {
            ["tcp", "udp"].into_iter().flat_map(move |protocol| {
                sources
                    .into_iter()
                    .flat_map(move |source| PORTS.map(move |port| Self { interface, protocol, source, port }))
            })
        })
    }

    fn is_ssh(&self) -> bool {
        self.protocol == "tcp" && self.port == SSH
    }

    fn is_wireguard(&self) -> bool {
        self.protocol == "udp" && self.port == WIREGUARD
    }

    fn fares<'a>(&self, rules: impl IntoIterator<Item = (Action, &'a Tuple)>) -> Option<Action> {
        rules.into_iter().find(|(_, tuple)| self.matches(tuple)).map(|(action, _)| action)
    }

    fn matches(&self, tuple: &Tuple) -> bool {
        let from = |network: &Network| match network {
            Network::Prefix(std::net::IpAddr::V4(ip), length) => in_network(self.source, *ip, *length),
            other => panic!("{other}"),
        };
        let port = |ports: &Ports| match ports {
            Ports::Any => true,
            Ports::List(ranges) => ranges.iter().any(|range| range.first <= self.port && self.port <= range.last),
            Ports::Application(name) => panic!("{name}"),
        };
        tuple.direction == Direction::In
            && tuple.interface_in.as_deref().is_none_or(|name| name == self.interface)
            && (tuple.protocol == Protocol::Any || tuple.protocol.to_string() == self.protocol)
            && tuple.source.network.as_ref().is_none_or(from)
            && port(&tuple.destination.ports)
    }

    /// What the policy says of it, without what a policy cannot have.
    fn fares_by_policy(&self, desired: &[policy::Rule]) -> Option<Action> {
        if self.is_wireguard() {
            return Some(Action::Allow);
        }
        let first = desired.iter().filter(|rule| may_be(rule)).find(|rule| {
            let transport = match rule.transport {
                policy::Transport::Any => true,
                policy::Transport::Tcp => self.protocol == "tcp",
                policy::Transport::Udp => self.protocol == "udp",
            };
            let source = match rule.source {
                policy::Source::Anywhere => true,
                policy::Source::Mesh => self.interface == "wg0",
                policy::Source::Network(network) => in_network(self.source, network.address(), network.prefix_length()),
            };
            transport && source && rule.ports.contains(self.port)
        })?;
        Some(match first.action {
            policy::Action::Allow => Action::Allow,
            policy::Action::Deny => Action::Deny,
            policy::Action::Limit => Action::Limit,
        })
    }
}

fn may_be(rule: &policy::Rule) -> bool {
    let closes_ssh = rule.transport != policy::Transport::Udp && rule.ports.contains(SSH);
    let closes_wireguard = rule.transport != policy::Transport::Tcp && rule.ports.contains(WIREGUARD);
    rule.action == policy::Action::Allow || !closes_ssh && !closes_wireguard
}

fn in_network(ip: Ipv4Addr, network: Ipv4Addr, length: u8) -> bool {
    let mask = !(u32::MAX.checked_shr(length.into()).unwrap_or(0));
    u32::from(ip) & mask == u32::from(network)
}

prop_compose! {
    fn any_guard()(enable_ufw in any::<bool>()) -> GuardRails {
        GuardRails { interface: "wg0".into(), wireguard_port: WIREGUARD, enable_ufw }
    }
}

prop_compose! {
    fn any_facts()(
        active in any::<bool>(),
        lines in vec((any_line(), select(vec!["", " comment 'x'", " comment 'servos-mesh: a'", " comment 'servos-mesh: b'"])), 0..10),
        ssh_rail in any::<bool>(),
    ) -> Facts {
        let mut rules: Vec<ExistingRule> = Vec::new();
        let rail = ssh_rail.then(|| format!("allow {SSH}/tcp comment 'servos-mesh: ssh'"));
        for line in lines.into_iter().map(|(line, comment)| line + comment).chain(rail) {
            let rule = ExistingRule::parse(&line);
            assert!(rule.tuple.is_some() && rule.action.is_some(), "{line}");
            // To ufw, two rules of one tuple are one.
            if rules.iter().all(|other| other.tuple != rule.tuple) {
                rules.push(rule);
            }
        }
        Facts { ufw: if active { UfwState::Active } else { UfwState::Inactive }, rules, ssh_ports: vec![SSH] }
    }
}

prop_compose! {
    fn any_line()(
        action in select(vec!["allow", "deny", "reject", "limit"]),
        interface in select(vec!["", "", " in on wg0", " in on eth0"]),
        network in select(vec!["any", "any", "10.0.0.0/8", "10.0.0.0/16", "192.0.2.1"]),
        ports in option::weighted(0.9, any_ports()),
        list in option::weighted(0.1, PORTS),
        protocol in select(vec![" proto tcp", " proto udp", ""]),
    ) -> String {
        // ufw wants a protocol beside more than one port.
        let many = |ports: &str| ports.contains([':', ',']);
        let ports = ports.map(|(first, last)| if first == last { first.to_string() } else { format!("{first}:{last}") });
        let ports = ports.zip(list).map(|(ports, more)| format!("{ports},{more}")).or_else(|| list.map(|port| port.to_string()));
        let protocol = if protocol.is_empty() && ports.as_deref().is_some_and(many) { " proto tcp" } else { protocol };
        let port = ports.map(|ports| format!(" port {ports}")).unwrap_or_default();
        let line = format!("{action}{interface} from {network} to any{port}{protocol}");
        // As ufw prints it.
        let rule = ExistingRule::parse(&line);
        rule.tuple.unwrap().arguments(rule.action.unwrap()).join(" ")
    }
}

fn any_ports() -> impl Strategy<Value = (u16, u16)> {
    (PORTS, prop_oneof![4 => Just(0_u16), 1 => 0_u16..6]).prop_map(|(first, more)| (first, (first + more).min(9)))
}

fn any_desired() -> impl Strategy<Value = Option<Vec<policy::Rule>>> {
    option::weighted(0.9, vec(any_policy_rule(), 0..8))
}

prop_compose! {
    fn any_policy_rule()(
        action in select(vec![policy::Action::Allow, policy::Action::Allow, policy::Action::Deny, policy::Action::Limit]),
        transport in select(vec![policy::Transport::Tcp, policy::Transport::Udp, policy::Transport::Any]),
        (first, last) in any_ports(),
        source in select(vec!["anywhere", "mesh", "10.0.0.0/8", "10.0.0.0/16", "192.0.2.1/32"]),
        reason in select(vec!["a", "b"]),
    ) -> policy::Rule {
        policy::Rule { action, transport, ..common::rule(&format!("allow {first}:{last}/tcp {source} {reason}")) }
    }
}
