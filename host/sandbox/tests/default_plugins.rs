//! The default bundle, as `cargo xtask build` made it, through the host that the agent uses.

#![cfg(test)]

mod common;

use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::sync::Arc;

use common::{host, mesh, question, status};
use servos_mesh::Snapshot;
use servos_sandbox::naming::{Outcome, Rdata, RecordType};
use servos_sandbox::policy::{Action, LocalInstance, PolicyContext, Transport};
use servos_sandbox::weighting::Candidate;
use servos_sandbox::{PluginHost, State};

const BUNDLE: [&str; 3] = ["dns-naming", "traefik-failover", "ufw-policy"];

fn wasm(name: &str) -> Vec<u8> {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("../../target/guests");
    let path = folder.join(format!("{name}.wasm"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{}: {error}: run `cargo xtask build`", path.display()))
}

/// A host of the three, which runs them all.
fn bundle() -> (tempfile::TempDir, Arc<PluginHost>) {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path(), BUNDLE.map(|name| (name, wasm(name))).into());
    for name in BUNDLE {
        assert_eq!(status(&host, name).unwrap().state, State::Running);
    }
    (root, host)
}

fn addresses(host: &PluginHost, mesh: &Arc<Snapshot>, name: &str) -> Vec<Ipv4Addr> {
    match host.resolve(mesh, &question(name, RecordType::A)) {
        Outcome::Answers(answers) => answers
            .into_iter()
            .map(|answer| match answer.rdata {
                Rdata::A(address) => address,
                other => panic!("{other:?}"),
            })
            .collect(),
        other => panic!("{name}: {other:?}"),
    }
}

#[test]
fn dns_naming_knows_services_servers_and_addresses() {
    let (_root, host) = bundle();
    let mesh = mesh::snapshot();
    let server = |index| mesh::address(index).ipv4();
    assert_eq!(addresses(&host, &mesh, "postgres"), [server(2)]);
    assert_eq!(addresses(&host, &mesh, "s3"), [server(3)]);
    assert_eq!(addresses(&host, &mesh, "api"), [server(9)], "this server's proxy, which listens on port 80");
    let Outcome::Answers(names) = host.resolve(&mesh, &question("2.0.64.100.in-addr.arpa", RecordType::Ptr)) else {
        panic!("no name for an address")
    };
    assert!(matches!(&names[0].rdata, Rdata::Ptr(name) if name.split('.').next() == Some("s2")), "{names:?}");
    assert_eq!(host.resolve(&mesh, &question("postgres", RecordType::Aaaa)), Outcome::NoData);
    assert!(!matches!(host.resolve(&mesh, &question("nobody", RecordType::A)), Outcome::Answers(_) | Outcome::Failed));
    assert_eq!(status(&host, "dns-naming").unwrap().faults, 0);
}

#[test]
fn traefik_failover_takes_what_is_unhealthy_out() {
    let (_root, host) = bundle();
    let mesh = mesh::snapshot();
    let service = mesh.table.service("api").unwrap();
    let candidates: Vec<_> =
        service.instances.iter().map(|&instance| Candidate { instance, current_weight: None }).collect();
    let weights = host.weigh(&mesh, service, &candidates).unwrap();
    assert!(weights[0] > 0 && weights[1] > 0, "{weights:?}");
    assert_eq!(weights[2], 0);
}

#[test]
fn ufw_policy_opens_wireguard_and_what_runs_here() {
    let (_root, host) = bundle();
    let context = PolicyContext {
        wireguard_port: 51_820,
        interface: "wg0".into(),
        instances: vec![LocalInstance { service: "api".into(), transport: Transport::Tcp, port: 8_080 }],
        proxy_ports: Vec::new(),
    };
    let rules = host.rules(&mesh::snapshot(), &context).unwrap();
    let opens = |port, transport| {
        let fits = |rule: &&servos_sandbox::policy::Rule| {
            rule.action == Action::Allow && rule.transport == transport && rule.ports.contains(port)
        };
        rules.iter().any(|rule| fits(&rule))
    };
    assert!(opens(51_820, Transport::Udp) && opens(8_080, Transport::Tcp), "{rules:?}");
    assert!(!opens(22, Transport::Tcp));
}
