//! States for the tests: one fixed, and any that is valid.

#![cfg(test)]
#![allow(dead_code, reason = "each test file uses its part")]

pub mod history;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::time::Duration;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use servos_mesh::{
    DnsLabel, HealthCheck, HostName, Instance, MeshAddress, MeshState, MeshStateBuilder, PeerEntry, Protocol,
    PublicKey, Revision, Service, WireError,
};

/// A mesh as plain values: the reference that a parsed state is held against.
#[derive(Clone, Debug)]
pub struct Mesh {
    pub id: [u8; 16],
    pub organisation: String,
    pub domain: HostName,
    pub revision: Revision,
    /// Sorted by address, unique.
    pub peers: Vec<PeerEntry>,
    /// Sorted by name, unique, with the places of their instances, sorted and unique.
    pub services: Vec<(Service, Vec<Place>)>,
}

/// Where an instance runs: address of the server, port, weight.
pub type Place = (MeshAddress, u16, u16);

impl Mesh {
    pub fn build(&self) -> Result<MeshState, WireError> {
        let mut builder = MeshStateBuilder::new(self.id, &self.organisation, self.domain.clone(), self.revision);
        for peer in &self.peers {
            builder.peer(peer.clone());
        }
        for (service, places) in &self.services {
            builder.service(service.clone(), places.clone());
        }
        builder.build()
    }
}

/// Three servers and two services, every field in use.
pub fn example() -> Mesh {
    let peer = |index: u32, name: &str, endpoint: Option<&str>, since: u64| PeerEntry {
        public_key: PublicKey::from_bytes([index as u8; 32]).unwrap(),
        key_generation: servos_mesh::KeyGeneration::FIRST,
        endpoint: endpoint.map(|text| text.parse().unwrap()),
        address: MeshAddress::from_index(index).unwrap(),
        name: label(name),
        since: Revision(since),
    };
    let api = Service {
        name: label("api"),
        protocol: Protocol::Http,
        port: 80,
        mesh_failover: true,
        hosts: vec!["api.example.org".parse().unwrap(), "www.example.org".parse().unwrap()],
        labels: vec![("team".into(), "web".into()), ("größe".into(), "".into())],
        health_check: Some(HealthCheck {
            path: Some("/healthz".into()),
            interval: Duration::from_millis(500),
            timeout: Duration::from_millis(400),
        }),
        instances: Vec::new(),
    };
    let postgres = Service {
        name: label("postgres"),
        protocol: Protocol::Tcp,
        port: 5432,
        mesh_failover: false,
        hosts: Vec::new(),
        labels: Vec::new(),
        health_check: None,
        instances: Vec::new(),
    };
    Mesh {
        id: *b"sixteen byte id.",
        organisation: "Example & Söhne".into(),
        domain: "mesh.internal".parse().unwrap(),
        revision: Revision(0x0102_0304_0506_0708),
        peers: vec![
            peer(1, "web-1", Some("192.0.2.1:51820"), 7),
            peer(2, "db", Some("[2001:db8::2]:443"), 0x1_0000_0008),
            peer(0x3f_fffe, "last", None, 9),
        ],
        services: vec![
            (api, vec![(address(1), 8080, 100), (address(1), 8081, 0), (address(0x3f_fffe), 8080, 1000)]),
            (postgres, vec![(address(2), 5432, 100)]),
        ],
    }
}

pub fn label(text: &str) -> DnsLabel {
    text.parse().unwrap()
}

pub fn address(index: u32) -> MeshAddress {
    MeshAddress::from_index(index).unwrap()
}

/// The service as it is read back.
pub fn with_instances(service: &Service, places: &[Place]) -> Service {
    let instances = places.iter().map(|&(server, port, weight)| Instance::new(server, port, weight)).collect();
    Service { instances, ..service.clone() }
}

/// Every value of every byte of a body, one at a time: `parses` uses whatever parses, and says whether it did.
pub fn every_byte_may_be_anything(body: &[u8], parses: fn(&[u8]) -> bool) {
    let mut refused = 0;
    for at in 0..body.len() {
        for value in 0..=u8::MAX {
            let mut changed = body.to_vec();
            changed[at] = value;
            refused += usize::from(!parses(&changed));
        }
    }
    assert!(refused > 0);
}

prop_compose! {
    /// Any valid mesh of up to 12 servers. Few keys and names, so that duplicates occur.
    pub fn any_mesh()(
        id in any::<[u8; 16]>(),
        organisation in "[a-zA-Zäöü &]{1,20}",
        domain in any_host(),
        revision in any::<u64>(),
        peers in btree_map(1_u32..(1 << 22) - 1, any_peer(), 0..12),
        services in btree_map("[a-z]{1,3}", any_service(), 0..6),
    ) -> Mesh {
        let peers: Vec<PeerEntry> =
            peers.into_iter().map(|(index, peer)| PeerEntry { address: address(index), ..peer }).collect();
        let services = services
            .into_iter()
            .map(|(name, (service, places))| {
                let mut unique = BTreeMap::new();
                for (server, port, weight) in places {
                    if let Some(peer) = peers.get(server) {
                        unique.insert((peer.address, port), weight);
                    }
                }
                let places = unique.into_iter().map(|((at, port), weight)| (at, port, weight)).collect();
                (Service { name: label(&name), ..service }, places)
            })
            .collect();
        Mesh { id, organisation, domain, revision: Revision(revision), peers, services }
    }
}

prop_compose! {
    fn any_peer()(
        key in 1_u8..16,
        generation in any::<u8>(),
        endpoint in option::of(any::<SocketAddr>()),
        name in "[a-z]{1,2}",
        since in any::<u64>(),
    ) -> PeerEntry {
        PeerEntry {
            public_key: PublicKey::from_bytes([key; 32]).unwrap(),
            key_generation: servos_mesh::KeyGeneration::from_number(generation),
            endpoint,
            address: MeshAddress::LAST,
            name: label(&name),
            since: Revision(since),
        }
    }
}

prop_compose! {
    pub fn any_service()(
        protocol in prop_oneof![Just(Protocol::Http), Just(Protocol::Tcp), Just(Protocol::Udp)],
        port in 1_u16..,
        mesh_failover in any::<bool>(),
        hosts in vec(any_host(), 0..4),
        labels in vec(("\\PC{1,9}", "\\PC{0,9}"), 0..4),
        health_check in option::of(any_health_check()),
        places in vec((0_usize..12, 1_u16.., 0_u16..=1000), 0..8),
    ) -> (Service, Vec<(usize, u16, u16)>) {
        let service = Service {
            name: label("x"),
            protocol,
            port,
            mesh_failover,
            hosts,
            labels,
            health_check,
            instances: Vec::new(),
        };
        (service, places)
    }
}

prop_compose! {
    fn any_health_check()(
        path in option::of("/[!-~]{0,20}"),
        interval in 100_u64..=3_600_000,
        timeout in 1_u64..=60_000,
    ) -> HealthCheck {
        HealthCheck { path, interval: Duration::from_millis(interval), timeout: Duration::from_millis(timeout) }
    }
}

fn any_host() -> impl Strategy<Value = HostName> {
    "[a-c]([a-c-]{0,3}[a-c])?(\\.[a-c]){0,2}".prop_map(|text| text.parse().unwrap())
}
