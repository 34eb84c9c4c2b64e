//! A small mesh, and a weigher that is told what to say.

#![allow(dead_code, reason = "each test uses a part")]

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Instant;

use servos_failover::Weigh;
use servos_mesh::{
    Health, InstanceKey, InstanceObservation, MeshStateBuilder, Observations, Own, PeerEntry, PeerTable, Protocol,
    PublicKey, Revision, Service, Snapshot,
};
use servos_sandbox::weighting::Candidate;

/// Three servers, 100.64.0.1 (this one) to .3; services as given, with an instance on each server, weights 100, 200, 300.
pub fn snapshot(services: &[(&str, Protocol, u16)], health: &[(&str, u8, Health)]) -> Arc<Snapshot> {
    let mut mesh = MeshStateBuilder::new([1; 16], "acme", "mesh.internal".parse().expect("domain"), Revision(1));
    for number in 1..=3_u8 {
        mesh.peer(PeerEntry {
            public_key: PublicKey::from_bytes([number; 32]).expect("key"),
            key_generation: servos_mesh::KeyGeneration::FIRST,
            endpoint: None,
            address: address(number),
            name: format!("s{number}").parse().expect("name"),
            since: Revision(1),
        });
    }
    for &(name, protocol, port) in services {
        let service = Service {
            name: name.parse().expect("name"),
            protocol,
            port,
            mesh_failover: true,
            hosts: vec![format!("{name}.example.org").parse().expect("host")],
            labels: Vec::new(),
            health_check: None,
            instances: Vec::new(),
        };
        mesh.service(service, (1..=3).map(|number| (address(number), 8080, 100 * u16::from(number))).collect());
    }
    let own = Own { address: address(1), public_key: PublicKey::from_bytes([1; 32]).expect("key") };
    let table = Arc::new(PeerTable::new(Arc::new(mesh.build().expect("state")), Some(own)));
    let seen = |&(service, server, health): &(&str, u8, Health)| {
        let key = InstanceKey { service: service.parse().expect("name"), server: address(server), port: 8080 };
        (key, InstanceObservation { health, changed_at: Instant::now(), flaps: 0, round_trip: None })
    };
    let instances: HashMap<_, _> = health.iter().map(seen).collect();
    let observations = Arc::new(Observations { instances, ..Observations::default() });
    Arc::new(Snapshot { generation: 1, taken_at: Instant::now(), table, observations })
}

fn address(number: u8) -> servos_mesh::MeshAddress {
    format!("100.64.0.{number}").parse().expect("address")
}

/// A double of the weighting plugins: says what it was told to.
pub struct Told(pub Option<Vec<u16>>);

impl Weigh for Told {
    fn weigh(&self, _: &Arc<Snapshot>, _: &Service, _: &[Candidate]) -> Option<Vec<u16>> {
        self.0.clone()
    }
}
