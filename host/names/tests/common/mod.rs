//! A mesh, a table of names in the plugins' stead, a machine of its own for each test, and real clients.

#![cfg(test)]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod machine;
pub mod names_table;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Instant;

use servos_mesh::{
    MeshAddress, MeshStateBuilder, Observations, Own, PeerEntry, PeerTable, Protocol, PublicKey, Revision, Service,
    Snapshot,
};
use servos_names::{NameServer, NamesSettings};
use tokio::process::Command;
use tokio::sync::watch;

use names_table::NamesTable;

pub const OWN: &str = "100.64.0.1";
pub const LOOPBACK: &str = "127.64.0.53";

/// Servers `s1` (this one), `s2`, and a service `api` with the host name `api.example.org`.
pub fn mesh(generation: u64) -> Arc<Snapshot> {
    mesh_of("mesh.internal", generation)
}

pub fn mesh_of(domain: &str, generation: u64) -> Arc<Snapshot> {
    let mut builder = MeshStateBuilder::new([7; 16], "example", domain.parse().unwrap(), Revision(generation));
    for (index, name) in [(1_u32, "s1"), (2, "s2")] {
        builder.peer(PeerEntry {
            public_key: PublicKey::from_bytes([index as u8; 32]).unwrap(),
            key_generation: servos_mesh::KeyGeneration::FIRST,
            endpoint: None,
            address: MeshAddress::from_index(index).unwrap(),
            name: name.parse().unwrap(),
            since: Revision(1),
        });
    }
    let api = Service {
        name: "api".parse().unwrap(),
        protocol: Protocol::Http,
        port: 80,
        mesh_failover: false,
        hosts: vec!["api.example.org".parse().unwrap(), "open.example.org".parse().unwrap()],
        labels: Vec::new(),
        health_check: None,
        instances: Vec::new(),
    };
    builder.service(api, vec![(own(), 8080, 100)]);
    let state = Arc::new(builder.build().unwrap());
    let own = Own { address: own(), public_key: PublicKey::from_bytes([1; 32]).unwrap() };
    Arc::new(Snapshot {
        generation,
        taken_at: Instant::now(),
        table: Arc::new(PeerTable::new(state, Some(own))),
        observations: Arc::new(Observations::default()),
    })
}

pub fn own() -> MeshAddress {
    OWN.parse().unwrap()
}

/// A server with everything around it.
pub struct Served {
    pub server: NameServer,
    pub table: Arc<NamesTable>,
    pub mesh: watch::Sender<Arc<Snapshot>>,
}

pub async fn serve(table: NamesTable, upstreams: &[SocketAddr]) -> Served {
    serve_with(&NamesSettings::default(), table, upstreams).await
}

pub async fn serve_with(settings: &NamesSettings, table: NamesTable, upstreams: &[SocketAddr]) -> Served {
    let table = Arc::new(table);
    let (mesh_out, snapshots) = watch::channel(mesh(1));
    let server = NameServer::start(settings, own(), upstreams.to_vec(), table.clone(), snapshots).await;
    Served { server, table, mesh: mesh_out }
}

/// Runs a program and returns what it printed.
pub async fn run(program: &str, arguments: &[&str]) -> String {
    let output = Command::new(program).args(arguments).output().await.unwrap_or_else(|e| panic!("{program}: {e}"));
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks the loopback address with real dig: all that it prints.
pub async fn dig(question: &str) -> String {
    dig_at(LOOPBACK, question).await
}

pub async fn dig_at(server: &str, question: &str) -> String {
    let at = format!("@{server}");
    let mut arguments = vec![at.as_str(), "+time=10", "+tries=1"];
    arguments.extend(question.split_ascii_whitespace());
    run("dig", &arguments).await
}

/// The data of the answers alone.
pub async fn dig_short(question: &str) -> Vec<String> {
    let printed = dig(&format!("+short {question}")).await;
    printed.lines().map(str::to_owned).collect()
}

/// `NOERROR` of what dig printed.
pub fn status(printed: &str) -> &str {
    let (_, rest) = printed.split_once("status: ").unwrap_or_else(|| panic!("no answer: {printed}"));
    rest.split(',').next().unwrap()
}

/// `qr aa rd` of what dig printed.
pub fn flags(printed: &str) -> Vec<&str> {
    let (_, rest) = printed.split_once("flags: ").unwrap_or_else(|| panic!("no answer: {printed}"));
    rest.split(';').next().unwrap().split(' ').collect()
}

/// The lines of a section, fields separated by one blank.
pub fn section(printed: &str, name: &str) -> Vec<String> {
    let mut lines = printed.lines().skip_while(|line| !line.contains(&format!("{name} SECTION:")));
    lines.next();
    let records = lines.take_while(|line| !line.is_empty());
    records.map(|line| line.split_ascii_whitespace().collect::<Vec<_>>().join(" ")).collect()
}
