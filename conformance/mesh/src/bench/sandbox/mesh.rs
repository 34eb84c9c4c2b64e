//! The mesh that the plugins are asked about.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use servos_mesh::{
    Health, InstanceKey, InstanceObservation, KeyGeneration, MeshAddress, MeshStateBuilder, Observations, Own,
    PeerEntry, PeerTable, Protocol, PublicKey, Revision, Service, Snapshot,
};

/// Servers `s1` (this one), `s2`, …: more names than a DNS server's cache holds.
pub(super) const SERVERS: u32 = 20_000;

/// A service with 8 instances.
pub(super) const EIGHT: &str = "eight";

/// A service with 1,000 instances.
pub(super) const THOUSAND: &str = "thousand";

/// Where instances listen.
const PORT: u16 = 8_080;

/// [`SERVERS`] servers and two services, whose instances are healthy.
pub(super) fn snapshot() -> Result<Arc<Snapshot>> {
    let taken_at = Instant::now();
    let mut state = MeshStateBuilder::new([1; 16], "bench", "mesh.internal".parse()?, Revision(7));
    for server in 1..=SERVERS {
        state.peer(PeerEntry {
            public_key: key(server)?,
            key_generation: KeyGeneration::FIRST,
            endpoint: None,
            address: address(server)?,
            name: format!("s{server}").parse()?,
            since: Revision(1),
        });
    }
    let mut instances = HashMap::new();
    for (name, count) in [(EIGHT, 8), (THOUSAND, 1_000)] {
        let service = Service {
            name: name.parse()?,
            protocol: Protocol::Http,
            port: 80,
            hosts: Vec::new(),
            mesh_failover: true,
            labels: Vec::new(),
            health_check: None,
            instances: Vec::new(),
        };
        let mut places = Vec::new();
        for server in 1..=count {
            let key = InstanceKey { service: service.name.clone(), server: address(server)?, port: PORT };
            let round_trip = Some(Duration::from_micros(200 + u64::from(server)));
            let seen = InstanceObservation { health: Health::Healthy, changed_at: taken_at, flaps: 0, round_trip };
            instances.insert(key, seen);
            places.push((address(server)?, PORT, 100));
        }
        state.service(service, places);
    }
    let state = state.build().context("the mesh of the benchmark")?;
    let own = Own { address: address(1)?, public_key: key(1)? };
    Ok(Arc::new(Snapshot {
        generation: 7,
        taken_at,
        table: Arc::new(PeerTable::new(Arc::new(state), Some(own))),
        observations: Arc::new(Observations { instances, ..Observations::default() }),
    }))
}

fn address(server: u32) -> Result<MeshAddress> {
    Ok(MeshAddress::from_index(server)?)
}

fn key(server: u32) -> Result<PublicKey> {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&server.to_le_bytes());
    Ok(PublicKey::from_bytes(bytes)?)
}
