//! A mesh of two servers, of which this one is the first.

use std::sync::Arc;

use servos_mesh::{
    KeyGeneration, MeshAddress, MeshState, MeshStateBuilder, Own, PeerEntry, PeerTable, PublicKey, Revision,
};

/// This server's address.
pub fn own_address() -> MeshAddress {
    MeshAddress::from_index(1).expect("an address")
}

/// The mesh, in which this server has that key; the other has another with each revision.
pub fn state(revision: u8, own: PublicKey) -> Arc<MeshState> {
    let domain = "mesh.internal".parse().expect("a domain");
    let mut mesh = MeshStateBuilder::new([1; 16], "acme", domain, Revision(revision.into()));
    let other = PublicKey::from_bytes([revision + 100; 32]).expect("a key");
    for (index, public_key) in [(1, own), (2, other)] {
        mesh.peer(PeerEntry {
            public_key,
            endpoint: None,
            address: MeshAddress::from_index(index).expect("an address"),
            name: format!("s{index}").parse().expect("a name"),
            key_generation: KeyGeneration::FIRST,
            since: Revision(1),
        });
    }
    Arc::new(mesh.build().expect("a state"))
}

/// It as this server sees it.
pub fn table(revision: u8, own: PublicKey) -> Arc<PeerTable> {
    Arc::new(PeerTable::new(state(revision, own), Some(Own { address: own_address(), public_key: own })))
}
