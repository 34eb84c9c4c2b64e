//! `PeerTable` against the obviously right slow one: a walk over the whole state for every question.

#![cfg(test)]

mod common;

use std::sync::Arc;

use common::{address, any_mesh, example, label};
use proptest::option;
use proptest::prelude::*;
use proptest::sample::Index;
use servos_mesh::{MeshAddress, MeshState, Own, PeerRecord, PeerTable, PublicKey, Service, SkipReason, SkippedPeer};

proptest! {
    #[test]
    fn agrees_with_a_walk_over_the_state(
        mesh in any_mesh(),
        own in option::of((any::<Index>(), 1_u8..16, any::<bool>())),
        useless in option::of((any::<Index>(), 0_u8..2)),
        asked in 0_u32..1 << 22,
    ) {
        let own = own.map(|(at, key, in_mesh)| Own {
            address: match mesh.peers.len() {
                0 => address(asked),
                _ if !in_mesh => address(asked),
                count => mesh.peers[at.index(count)].address,
            },
            public_key: PublicKey::from_bytes([key; 32]).unwrap(),
        });
        let useless = useless.filter(|_| !mesh.peers.is_empty());
        let useless = useless.map(|(at, lowest)| (at.index(mesh.peers.len()), lowest));
        let state = Arc::new(with_useless_key(&mesh.build().unwrap(), useless));

        let table = PeerTable::new(state.clone(), own);
        let walk = Walk::new(&state, own);

        prop_assert_eq!(table.own(), walk.own);
        prop_assert_eq!(table.peers().collect::<Vec<_>>(), walk.peers.clone());
        prop_assert_eq!(table.len(), walk.peers.len());
        prop_assert_eq!(table.is_empty(), walk.peers.is_empty());
        prop_assert_eq!(table.skipped().cloned().collect::<Vec<_>>(), walk.skipped.clone());
        let addresses = state.peers().iter().map(PeerRecord::address);
        let beside = addresses.clone().filter_map(|at| MeshAddress::from_index(at.index() ^ 1).ok());
        for at in addresses.chain(beside).chain([address(asked), MeshAddress::FIRST, MeshAddress::LAST]) {
            prop_assert_eq!(table.server_by_address(at), state.peers().iter().find(|peer| peer.address() == at));
            prop_assert_eq!(table.peer_by_address(at), walk.peers.iter().copied().find(|peer| peer.address() == at));
        }
        for key in 1..=16 {
            let key = PublicKey::from_bytes([key; 32]).unwrap();
            prop_assert_eq!(table.peer_by_key(&key), walk.peers.iter().copied().find(|peer| *peer.public_key() == key));
        }
        for name in state.peers().iter().map(|peer| state.name_of(peer)).chain(["", "nobody"]) {
            prop_assert_eq!(
                table.server_by_name(name),
                state.peers().iter().find(|peer| state.name_of(peer) == name)
            );
        }
        let here = |service: &&Service| {
            service.instances.iter().any(|i| Some(i.server()) == table.own().map(PeerRecord::address))
        };
        prop_assert_eq!(
            table.local_services().collect::<Vec<_>>(),
            state.services().iter().filter(here).collect::<Vec<_>>()
        );
        for name in state.services().iter().map(|service| service.name.as_str()).chain(["", "not-there"]) {
            let named = state.services().iter().find(|service| service.name.as_str() == name);
            prop_assert_eq!(table.service(name), named);
        }
        for host in state.services().iter().flat_map(|s| &s.hosts).map(|host| host.as_str()).chain(["", "d"]) {
            let first = state.services().iter().find(|s| s.hosts.iter().any(|other| other.as_str() == host));
            prop_assert_eq!(table.service_by_host(host), first);
        }
    }
}

/// Every address of a large mesh, across the borders of words and blocks of the bitmap.
#[test]
fn finds_each_of_many() {
    let mut mesh = example();
    mesh.services.clear();
    mesh.peers = (1..20_000_u32)
        .map(|number| servos_mesh::PeerEntry {
            public_key: PublicKey::from_bytes(std::array::from_fn(|at| number.to_le_bytes()[at % 4])).unwrap(),
            key_generation: servos_mesh::KeyGeneration::FIRST,
            endpoint: None,
            address: address(number * number % ((1 << 22) - 3) + 1),
            name: label(&format!("s{number}")),
            since: mesh.revision,
        })
        .collect();
    mesh.peers.sort_by_key(|peer| peer.address);
    mesh.peers.dedup_by_key(|peer| peer.address);
    assert!(mesh.peers.len() > 10_000);

    let table = PeerTable::new(Arc::new(mesh.build().unwrap()), None);

    assert_eq!(table.len(), mesh.peers.len());
    for peer in &mesh.peers {
        let found = table.peer_by_address(peer.address).unwrap();
        assert_eq!(found.public_key(), &peer.public_key);
        assert_eq!(table.peer_by_key(&peer.public_key).unwrap().address(), peer.address);
        assert_eq!(table.server_by_name(peer.name.as_str()).unwrap().address(), peer.address);
    }
}

/// The state with the key of one record overwritten by the number 0 or 1.
fn with_useless_key(state: &MeshState, useless: Option<(usize, u8)>) -> MeshState {
    let mut body = state.body().to_vec();
    if let Some((at, lowest)) = useless {
        let start = state.peers().as_ptr() as usize - state.body().as_ptr() as usize + at * 64;
        body[start..start + 32].fill(0);
        body[start] = lowest;
    }
    MeshState::parse(body.into()).unwrap()
}

struct Walk<'a> {
    own: Option<&'a PeerRecord>,
    peers: Vec<&'a PeerRecord>,
    skipped: Vec<SkippedPeer>,
}

impl<'a> Walk<'a> {
    fn new(state: &'a MeshState, own: Option<Own>) -> Self {
        let mut walk = Self { own: None, peers: Vec::new(), skipped: Vec::new() };
        for record in state.peers() {
            let reason = if own.is_some_and(|own| own.address == record.address()) {
                walk.own = Some(record);
                continue;
            } else if own.is_some_and(|own| own.public_key == *record.public_key()) {
                SkipReason::OwnKey
            } else if record.public_key().as_bytes() == &[0; 32] {
                SkipReason::ZeroKey
            } else if PublicKey::from_bytes(*record.public_key().as_bytes()).is_err() {
                SkipReason::SmallOrderKey
            } else if walk.peers.iter().any(|peer| peer.public_key() == record.public_key()) {
                SkipReason::DuplicateKey
            } else {
                walk.peers.push(record);
                continue;
            };
            let name = state.name_of(record).to_owned();
            walk.skipped.push(SkippedPeer { name, address: record.address(), reason });
        }
        walk
    }
}
