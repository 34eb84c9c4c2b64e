//! Mesh states of any size: the first peers are real and answered by the reflector, the others only known.

use std::net::SocketAddr;
use std::path::Path;

use anyhow::{Context, Result};
use boringtun::x25519::{self, StaticSecret};
use servos_mesh::{MeshAddress, MeshDelta, MeshState, MeshStateBuilder, PeerEntry, PublicKey, Revision};

/// Real peers of a state. Their indices are 1 ..= this; the mesh sends to the first alone.
pub(in crate::bench::tunnel) const SWARM: u32 = 1_000;

/// What differs between a state and the next.
#[derive(Clone, Copy, Debug)]
pub(in crate::bench::tunnel) struct StateSize {
    /// Peers, at most 4,194,302: all addresses but the first and the last.
    pub(in crate::bench::tunnel) peers: u32,
    /// Of these, how many have another endpoint than before: half of them real, half only known. Even.
    pub(in crate::bench::tunnel) changed: u32,
}

impl StateSize {
    /// Neither the first, which answers the echoes, nor the last, which is the mesh's own server.
    fn changes(self, index: u32) -> bool {
        let half = self.changed / 2;
        (2..2 + half).contains(&index) || (self.peers - half..self.peers).contains(&index)
    }
}

/// Writes a state whose first [`SWARM`] peers are at `swarm`.
pub(in crate::bench::tunnel) fn write_state(path: &Path, swarm: SocketAddr, size: StateSize) -> Result<()> {
    let revision = Revision(1 + u64::from(size.changed));
    let mut builder = MeshStateBuilder::new([1; 16], "bench", "mesh.internal".parse()?, revision);
    for index in 1..=size.peers {
        let real = index <= SWARM;
        let changed = size.changes(index);
        let mut endpoint = if real { swarm } else { SocketAddr::from(([192, 0, 2, 1], 51_820)) };
        endpoint.set_port(endpoint.port() + u16::from(changed));
        builder.peer(PeerEntry {
            public_key: if real { public_key(index) } else { PublicKey::from_bytes(scrambled(index.into()))? },
            key_generation: servos_mesh::KeyGeneration::FIRST,
            endpoint: Some(endpoint),
            address: MeshAddress::from_index(index)?,
            name: format!("p{index}").parse()?,
            since: if changed { revision } else { Revision(1) },
        });
    }
    let state = builder.build()?;
    std::fs::write(path, state.body()).with_context(|| format!("cannot write {}", path.display()))
}

/// Writes what leads from one state to another.
pub(in crate::bench::tunnel) fn write_delta(path: &Path, before: &Path, after: &Path) -> Result<()> {
    let read = |path: &Path| -> Result<MeshState> { Ok(MeshState::parse(std::fs::read(path)?.into())?) };
    let delta = MeshDelta::between(&read(before)?, &read(after)?)?.context("no delta can say what changed")?;
    std::fs::write(path, delta.body()).with_context(|| format!("cannot write {}", path.display()))
}

/// Private key of a real peer.
pub(super) fn private_key(index: u32) -> StaticSecret {
    StaticSecret::from(scrambled(index.into()))
}

fn public_key(index: u32) -> PublicKey {
    let public = x25519::PublicKey::from(&private_key(index));
    PublicKey::from_bytes(public.to_bytes()).expect("a clamped scalar times the base point is never zero")
}

/// 32 bytes that differ for each number (SplitMix64).
pub(super) fn scrambled(number: u64) -> [u8; 32] {
    let mut bytes = [0; 32];
    let mut seed = number.wrapping_mul(4);
    for word in bytes.chunks_exact_mut(8) {
        seed = seed.wrapping_add(1);
        let mut mixed = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        mixed = (mixed ^ mixed >> 30).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ mixed >> 27).wrapping_mul(0x94d0_49bb_1331_11eb);
        word.copy_from_slice(&(mixed ^ mixed >> 31).to_le_bytes());
    }
    bytes
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn half_of_the_changed_are_real_and_none_is_the_first_or_the_last() {
        let size = StateSize { peers: 2 * SWARM, changed: 6 };
        let changed: Vec<_> = (1..=size.peers).filter(|index| size.changes(*index)).collect();
        assert_eq!(changed, [2, 3, 4, 1_997, 1_998, 1_999]);
        let none = StateSize { peers: SWARM + 1, changed: 0 };
        assert!(!(1..=none.peers).any(|index| none.changes(index)));
    }

    #[test]
    fn keys_differ() {
        let keys: HashSet<_> = (0..10_000).map(scrambled).collect();
        assert_eq!(keys.len(), 10_000);
    }
}
