//! Which rules the plugin wants.

use std::net::Ipv4Addr;

use proptest::prelude::*;
use servos_plugin_sdk::policy::{Action, Context, LocalInstance, Policy, Rule, Source, Transport};
use servos_plugin_sdk::testing::Mesh;
use servos_plugin_ufw_policy::{Settings, UfwPolicy};

fn rules(settings: &str, instances: &[(&str, Transport, u16)], proxy_ports: &[u16]) -> Vec<Rule> {
    let settings: Settings = serde_json::from_str(settings).expect("settings");
    let instances = instances.iter().map(|&(service, transport, port)| LocalInstance {
        service: service.to_owned(),
        transport,
        port,
    });
    let context = Context {
        wireguard_port: 51820,
        interface: "wg0".to_owned(),
        instances: instances.collect(),
        proxy_ports: proxy_ports.to_vec(),
    };
    UfwPolicy::try_from(settings).expect("settings").rules(&Mesh::new().server("s1"), &context)
}

fn short(rules: &[Rule]) -> Vec<(Action, Transport, (u16, u16), Source)> {
    rules.iter().map(|rule| (rule.action, rule.transport, rule.ports, rule.source)).collect()
}

#[test]
fn wireguard_for_all_and_what_runs_here_for_the_mesh() {
    let found = rules(
        "{}",
        &[("dns", Transport::Udp, 53), ("api", Transport::Tcp, 8080), ("web", Transport::Tcp, 8080)],
        &[80],
    );
    assert_eq!(
        short(&found),
        [
            (Action::Allow, Transport::Udp, (51820, 51820), Source::Anywhere),
            (Action::Allow, Transport::Tcp, (8080, 8080), Source::Mesh),
            (Action::Allow, Transport::Udp, (53, 53), Source::Mesh),
            (Action::Allow, Transport::Tcp, (80, 80), Source::Mesh),
        ]
    );
    assert_eq!(found[1].reason, "service api");
}

#[test]
fn the_order_of_what_runs_here_does_not_matter() {
    let (a, b) = (("api", Transport::Tcp, 8080), ("db", Transport::Tcp, 5432));
    assert_eq!(rules("{}", &[a, b], &[443, 80]), rules("{}", &[b, a], &[80, 443]));
}

#[test]
fn rules_of_the_settings() {
    let settings = r#"{ "instances": false, "rules": [
        { "action": "allow", "ports": "9100", "transport": "tcp", "from": "10.0.0.0/8", "reason": "metrics" },
        { "action": "deny", "ports": "8000-8010", "from": "anywhere" } ] }"#;
    let network = Source::Network { address: Ipv4Addr::new(10, 0, 0, 0), prefix_length: 8 };
    assert_eq!(
        short(&rules(settings, &[("api", Transport::Tcp, 8080)], &[80]))[1..],
        [
            (Action::Allow, Transport::Tcp, (9100, 9100), network),
            (Action::Deny, Transport::Any, (8000, 8010), Source::Anywhere),
        ]
    );
}

#[test]
fn the_operators_rule_comes_before_what_runs_here_and_replaces_its_like() {
    let settings = r#"{ "rules": [
        { "action": "deny", "ports": "8080", "transport": "tcp", "reason": "not yet" },
        { "action": "limit", "ports": "22", "transport": "tcp", "from": "anywhere" },
        { "action": "allow", "ports": "22", "transport": "tcp", "from": "anywhere" } ] }"#;
    let found = rules(settings, &[("api", Transport::Tcp, 8080), ("web", Transport::Tcp, 81)], &[]);
    assert_eq!(
        short(&found)[1..],
        [
            (Action::Deny, Transport::Tcp, (8080, 8080), Source::Mesh),
            (Action::Limit, Transport::Tcp, (22, 22), Source::Anywhere),
            (Action::Allow, Transport::Tcp, (81, 81), Source::Mesh),
        ]
    );
    assert_eq!(found[1].reason, "not yet");
}

#[test]
fn never_more_rules_than_are_taken_and_the_operators_are_among_them() {
    let instances: Vec<_> = (0..300).map(|at| ("many", Transport::Tcp, 2_000 + at)).collect();
    let found = rules(r#"{ "rules": [{ "action": "deny", "ports": "1-9" }] }"#, &instances, &[80]);
    assert_eq!(found.len(), 256);
    assert_eq!(found[1].ports, (1, 9));
    let rule = r#"{ "action": "deny", "ports": "1-9" },"#.repeat(129);
    let settings = format!(r#"{{ "rules": [{}] }}"#, rule.trim_end_matches(','));
    let settings: Settings = serde_json::from_str(&settings).expect("JSON");
    assert!(UfwPolicy::try_from(settings).is_err());
}

proptest! {
    /// Well-formed by the contract, each opening once, WireGuard first, whatever runs here.
    #[test]
    fn rules_are_sound(
        instances in prop::collection::vec(("[a-z][a-z0-9-]{0,62}", 0..3_usize, 1_u16..), 0..400),
        proxy_ports in prop::collection::vec(1_u16.., 0..20),
    ) {
        let transports = [Transport::Tcp, Transport::Udp, Transport::Any];
        let instances: Vec<_> =
            instances.iter().map(|(name, transport, port)| (name.as_str(), transports[*transport], *port)).collect();
        let found = rules("{}", &instances, &proxy_ports);
        prop_assert_eq!(short(&found)[0], (Action::Allow, Transport::Udp, (51820, 51820), Source::Anywhere));
        prop_assert!(found.len() <= 256);
        prop_assert!(found.iter().all(|rule| rule.reason.len() <= 64));
        let mut openings: Vec<_> = short(&found);
        openings.sort();
        openings.dedup();
        prop_assert_eq!(openings.len(), found.len());
        let mut backwards = instances;
        backwards.reverse();
        prop_assert_eq!(found, rules("{}", &backwards, &proxy_ports));
    }
}

#[test]
fn settings_that_make_no_sense_are_refused_by_name() {
    for (rule, word) in [
        (r#"{ "action": "allow", "ports": "0" }"#, "ports"),
        (r#"{ "action": "allow", "ports": "9-8" }"#, "ports"),
        (r#"{ "action": "allow", "ports": "http" }"#, "ports"),
        (r#"{ "action": "allow", "ports": "80", "from": "10.0.0.1/8" }"#, "from"),
        (r#"{ "action": "allow", "ports": "80", "from": "10.0.0.0/40" }"#, "from"),
        (r#"{ "action": "allow", "ports": "80", "from": "home" }"#, "from"),
        (r#"{ "action": "allow", "ports": "80", "from": "0.0.0.0/0" }"#, "from"),
        (r#"{ "action": "allow", "ports": "80", "reason": "it's" }"#, "reason"),
    ] {
        let settings: Settings = serde_json::from_str(&format!(r#"{{ "rules": [{rule}] }}"#)).expect("JSON");
        let refused = UfwPolicy::try_from(settings).err().expect("refused");
        assert!(refused.starts_with(word), "{rule}: {refused}");
    }
    assert!(serde_json::from_str::<Settings>(r#"{ "rule": [] }"#).is_err());
}
