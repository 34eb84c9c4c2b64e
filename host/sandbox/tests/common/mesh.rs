//! Three servers and two services, as the first server sees them.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use servos_mesh::{
    Health, InstanceKey, InstanceObservation, Link, LinkObservation, MeshAddress, MeshStateBuilder, Observations, Own,
    PeerEntry, PeerTable, Protocol, Proxy, PublicKey, Revision, Service, Snapshot,
};

pub fn address(index: u32) -> MeshAddress {
    MeshAddress::from_index(index).unwrap()
}

/// `s1`, `s2`, `s3` at indices 1, 2, 3. `api` (HTTP, failover) runs on all, port 8080; `postgres` on `s2`. The proxy
/// listens on index 9, which is no server's.
pub fn snapshot() -> Arc<Snapshot> {
    with_instances(&[1, 2, 3])
}

/// The same, with `api` on ports 8080 and up, as often as told, on `s1`.
pub fn with_many_instances(count: u16) -> Arc<Snapshot> {
    build((0..count).map(|at| (address(1), 8_080 + at, 100)).collect())
}

fn with_instances(servers: &[u32]) -> Arc<Snapshot> {
    build(servers.iter().map(|&server| (address(server), 8_080, 100)).collect())
}

fn build(places: Vec<(MeshAddress, u16, u16)>) -> Arc<Snapshot> {
    let mut builder = MeshStateBuilder::new([7; 16], "test", "mesh.internal".parse().unwrap(), Revision(5));
    for index in 1..=3_u32 {
        builder.peer(PeerEntry {
            public_key: key(index),
            key_generation: servos_mesh::KeyGeneration::FIRST,
            endpoint: None,
            address: address(index),
            name: format!("s{index}").parse().unwrap(),
            since: Revision(1),
        });
    }
    builder.service(
        Service {
            name: "api".parse().unwrap(),
            protocol: Protocol::Http,
            port: 80,
            mesh_failover: true,
            hosts: vec!["api.example.org".parse().unwrap()],
            labels: vec![("team".into(), "web".into())],
            health_check: None,
            instances: Vec::new(),
        },
        places,
    );
    builder.service(
        Service {
            name: "postgres".parse().unwrap(),
            protocol: Protocol::Tcp,
            port: 5_432,
            mesh_failover: false,
            hosts: Vec::new(),
            labels: Vec::new(),
            health_check: None,
            instances: Vec::new(),
        },
        vec![(address(2), 5_432, 100)],
    );
    let own = Own { address: address(1), public_key: key(1) };
    let taken_at = Instant::now();
    let seen = |server: u32, health| {
        let key = InstanceKey { service: "api".parse().unwrap(), server: address(server), port: 8_080 };
        let round_trip = Some(Duration::from_micros(400 * u64::from(server)));
        (key, InstanceObservation { health, changed_at: taken_at, flaps: 0, round_trip })
    };
    let instances = HashMap::from([seen(1, Health::Healthy), seen(2, Health::Healthy), seen(3, Health::Unhealthy)]);
    let links = HashMap::from([(address(2), LinkObservation { link: Link::Up, round_trip: None })]);
    let proxy = Some(Proxy { address: address(9), ports: vec![80] });
    Arc::new(Snapshot {
        generation: 42,
        taken_at,
        table: Arc::new(PeerTable::new(Arc::new(builder.build().unwrap()), Some(own))),
        observations: Arc::new(Observations { instances, links, proxy }),
    })
}

fn key(index: u32) -> PublicKey {
    PublicKey::from_bytes([index as u8; 32]).unwrap()
}
