//! Meshes that change, revision after revision: few addresses, keys and names, so that they meet.

use std::collections::BTreeMap;
use std::net::SocketAddr;

use proptest::collection::{btree_map, vec};
use proptest::option;
use proptest::prelude::*;
use servos_mesh::{DnsLabel, KeyGeneration, MeshState, Own, PeerEntry, PublicKey, Revision, Service};

use super::{Mesh, Place, address, any_service, label};

/// Addresses that servers of such a mesh have, some of them in one word of a bitmap.
pub const POOL: [u32; 8] = [1, 2, 3, 64, 65, 512, 70_000, (1 << 22) - 2];

/// Revisions of one mesh, each with whom it zeroes the key of, and which server looks at them.
#[derive(Clone, Debug)]
pub struct History {
    pub states: Vec<MeshStateOf>,
    pub own: Option<Own>,
}

/// A revision, and the address whose key is all zero.
#[derive(Clone, Debug)]
pub struct MeshStateOf {
    pub mesh: Mesh,
    pub zeroed: Option<usize>,
}

impl MeshStateOf {
    /// The state with the key of one record overwritten by zeros, which no builder writes.
    pub fn build(&self) -> MeshState {
        let state = self.mesh.build().unwrap();
        let mut body = state.body().to_vec();
        if let Some(at) = self.zeroed.filter(|_| !state.peers().is_empty()).map(|at| at % state.peers().len()) {
            let start = state.peers().as_ptr() as usize - state.body().as_ptr() as usize + at * 64;
            body[start..start + 32].fill(0);
        }
        MeshState::parse(body.into()).unwrap()
    }
}

pub fn key(number: u8) -> PublicKey {
    PublicKey::from_bytes([number; 32]).unwrap()
}

type Server = (u8, Option<SocketAddr>, DnsLabel);
type ServiceOf = (Service, Vec<(usize, u16, u16)>);
type Services = BTreeMap<String, ServiceOf>;

/// What a revision does to the one before: who goes (none) or stands at an address, and the same of services by name.
type Edit = (BTreeMap<usize, Option<Server>>, BTreeMap<String, Option<ServiceOf>>, Option<usize>);

fn any_server() -> impl Strategy<Value = Server> {
    let endpoint = option::of(prop_oneof![Just("192.0.2.1:1".parse().unwrap()), any::<SocketAddr>()]);
    (1_u8..7, endpoint, "[a-d]").prop_map(|(key, endpoint, name)| (key, endpoint, label(&name)))
}

fn any_edit() -> impl Strategy<Value = Edit> {
    let servers = btree_map(0..POOL.len(), option::of(any_server()), 0..5);
    let services = btree_map("[a-d]", option::of(any_service()), 0..3);
    (servers, services, option::weighted(0.2, 0_usize..8))
}

prop_compose! {
    /// Up to seven revisions.
    pub fn any_history()(
        first in btree_map(0..POOL.len(), any_server(), 0..=POOL.len()),
        edits in vec(any_edit(), 1..7),
        own in option::of((0..POOL.len(), 1_u8..7)),
    ) -> History {
        let mut servers: BTreeMap<usize, (Server, u64)> =
            first.into_iter().map(|(at, server)| (at, (server, 1))).collect();
        let mut services = Services::new();
        let mut states = vec![MeshStateOf { mesh: mesh(1, &servers, &services), zeroed: None }];
        for (number, (changed, services_changed, zeroed)) in edits.into_iter().enumerate() {
            let revision = number as u64 + 2;
            for (at, server) in changed {
                match server {
                    Some(server) => drop(servers.insert(at, (server, revision))),
                    None => drop(servers.remove(&at)),
                }
            }
            for (name, service) in services_changed {
                match service {
                    Some(service) => drop(services.insert(name, service)),
                    None => drop(services.remove(&name)),
                }
            }
            states.push(MeshStateOf { mesh: mesh(revision, &servers, &services), zeroed });
        }
        let own = own.map(|(at, number)| Own { address: address(POOL[at]), public_key: key(number) });
        History { states, own }
    }
}

fn mesh(revision: u64, servers: &BTreeMap<usize, (Server, u64)>, services: &Services) -> Mesh {
    let peers = servers.iter().map(|(&at, ((number, endpoint, name), since))| PeerEntry {
        public_key: key(*number),
        endpoint: *endpoint,
        address: address(POOL[at]),
        name: name.clone(),
        key_generation: KeyGeneration::from_number(*number),
        since: Revision(*since),
    });
    let services = services.iter().map(|(name, (service, places))| {
        let places = places.iter().filter(|(at, ..)| servers.contains_key(&(at % POOL.len())));
        let unique: BTreeMap<_, _> =
            places.map(|&(at, port, weight)| ((address(POOL[at % POOL.len()]), port), weight)).collect();
        let places: Vec<Place> = unique.into_iter().map(|((at, port), weight)| (at, port, weight)).collect();
        (Service { name: label(name), ..service.clone() }, places)
    });
    Mesh {
        id: *b"sixteen byte id.",
        organisation: "acme".into(),
        domain: "mesh.internal".parse().unwrap(),
        revision: Revision(revision),
        peers: peers.collect(),
        services: services.collect(),
    }
}
