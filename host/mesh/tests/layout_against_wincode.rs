//! The layout written with bincode is the one that `wincode` (fixed-size little endian, 64-bit lengths) writes: should
//! bincode have to go, no byte changes.

#![cfg(test)]

mod common;

use common::{Mesh, any_mesh};
use proptest::prelude::*;
use servos_mesh::{FORMAT, MeshState, Protocol};
use wincode::{SchemaRead, SchemaWrite};

#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
struct State {
    format: u32,
    mesh: [u8; 16],
    organisation: String,
    domain: String,
    revision: u64,
    peers: Vec<u8>,
    names: Vec<u8>,
    service_count: u32,
    services: Vec<u8>,
}

#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
struct Service {
    name: String,
    protocol: u8,
    flags: u8,
    port: u16,
    hosts: Vec<String>,
    labels: Vec<(String, String)>,
    health_check: Option<HealthCheck>,
    instance_count: u32,
}

#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
struct HealthCheck {
    path: Option<String>,
    interval_ms: u32,
    timeout_ms: u32,
}

#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
struct Peer {
    public_key: [u8; 32],
    endpoint_ip: [u8; 16],
    endpoint_port: u16,
    flags: u16,
    address: u32,
    name_offset: u32,
    since: u32,
}

proptest! {
    #[test]
    fn wincode_writes_the_same_bytes(mesh in any_mesh()) {
        let body = mesh.build().unwrap().body().clone();

        let theirs = wincode::serialize(&by_hand(&mesh)).unwrap();

        prop_assert_eq!(&body[..], &theirs[..]);
        prop_assert_eq!(MeshState::parse(theirs.into()).unwrap().revision(), mesh.revision);
    }

    #[test]
    fn wincode_reads_the_same_values(mesh in any_mesh()) {
        let body = mesh.build().unwrap().body().clone();

        let theirs: State = wincode::deserialize_exact(&body).unwrap();

        prop_assert_eq!(theirs, by_hand(&mesh));
    }
}

fn by_hand(mesh: &Mesh) -> State {
    let mut peers = Vec::new();
    let mut names = Vec::new();
    for peer in &mesh.peers {
        let (endpoint_ip, endpoint_port) = match peer.endpoint {
            None => ([0; 16], 0),
            Some(at) => match at.ip() {
                std::net::IpAddr::V4(ip) => (ip.to_ipv6_mapped().octets(), at.port()),
                std::net::IpAddr::V6(ip) => (ip.octets(), at.port()),
            },
        };
        let record = Peer {
            public_key: *peer.public_key.as_bytes(),
            endpoint_ip,
            endpoint_port,
            flags: peer.key_generation.number().into(),
            address: peer.address.index(),
            name_offset: names.len() as u32,
            since: peer.since.0 as u32,
        };
        peers.extend(wincode::serialize(&record).unwrap());
        names.push(peer.name.as_str().len() as u8);
        names.extend(peer.name.as_str().bytes());
    }
    let mut services = Vec::new();
    for (service, places) in &mesh.services {
        let wire = Service {
            name: service.name.to_string(),
            protocol: match service.protocol {
                Protocol::Http => 0,
                Protocol::Tcp => 1,
                Protocol::Udp => 2,
            },
            flags: service.mesh_failover.into(),
            port: service.port,
            hosts: service.hosts.iter().map(ToString::to_string).collect(),
            labels: service.labels.clone(),
            health_check: service.health_check.as_ref().map(|check| HealthCheck {
                path: check.path.clone(),
                interval_ms: check.interval.as_millis() as u32,
                timeout_ms: check.timeout.as_millis() as u32,
            }),
            instance_count: places.len() as u32,
        };
        services.extend(wincode::serialize(&wire).unwrap());
        for &(address, port, weight) in places {
            let server = mesh.peers.iter().position(|peer| peer.address == address).unwrap() as u32;
            services.extend(wincode::serialize(&(server, port, weight)).unwrap());
        }
    }
    State {
        format: FORMAT,
        mesh: mesh.id,
        organisation: mesh.organisation.clone(),
        domain: mesh.domain.to_string(),
        revision: mesh.revision.0,
        peers,
        names,
        service_count: mesh.services.len() as u32,
        services,
    }
}
