//! A new table: swapped in one step, then sessions are looked at, and no other peer: those of the peers that changed,
//! or all of them where that is not known.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use servos_mesh::{PeerRecord, PeerTable};

use super::Device;
use super::peer::PeerId;

/// What a new table meant for the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Sessions whose peer left, or gave its address to another.
    pub ended: usize,
    /// Sessions that go on under the key that their peer rotated to.
    pub rotated: usize,
    /// Sessions that took their peer's changed endpoint.
    pub endpoints: usize,
    /// Sessions that were not touched.
    pub untouched: usize,
}

impl Device {
    /// Makes `table` the one that packets and handshakes are looked up in.
    pub fn apply(&self, now: Instant, table: Arc<PeerTable>) -> Applied {
        let Some(before) = self.peers.swap(table.clone()) else { return Applied::default() };
        let (cells, all) = {
            let sessions = self.sessions.read();
            let cells = match table.changes_since(&before) {
                Some(changed) => sessions.by_peers(changed.map(PeerId::from)),
                None => sessions.all(),
            };
            (cells, sessions.len())
        };
        let mut applied = Applied::default();
        let mut touched = 0;
        for cell in cells {
            self.common.counters.sessions_visited.one();
            let mut session = cell.lock();
            let address = session.peer().mesh_address();
            let record = address.and_then(|address| table.peer_by_address(address));
            let before_it = address.and_then(|address| before.peer_by_address(address));
            let is_same = |record: &PeerRecord| {
                record.public_key() == session.public_key()
                    || before_it.is_some_and(|old| is_rotation((&before, old), (&table, record)))
            };
            let Some(record) = record.filter(|record| is_same(record)) else {
                drop(session);
                applied.ended += usize::from(self.remove_session(&cell, |_| true));
                continue;
            };
            let rotated = record.public_key() != session.public_key();
            if rotated {
                self.handshakes.lock().forget(session.public_key());
                session.take_rotated_key(now, *record.public_key());
                self.reschedule(&mut session);
                applied.rotated += 1;
            }
            let known = before_it.and_then(|record| record.endpoint());
            let taken = match record.endpoint() {
                Some(endpoint) if known != Some(endpoint) => session.take_endpoint(now, known, endpoint),
                _ => false,
            };
            applied.endpoints += usize::from(taken);
            touched += usize::from(taken || rotated);
        }
        applied.untouched = all.saturating_sub(applied.ended + touched);
        applied
    }
}

/// Whether the record is the same server's as the one before, with another key: the name stays, the generation goes on.
fn is_rotation(before: (&PeerTable, &PeerRecord), after: (&PeerTable, &PeerRecord)) -> bool {
    let ((old_table, old), (table, record)) = (before, after);
    record.key_generation().is_rotation_of(old.key_generation()) && table.name_of(record) == old_table.name_of(old)
}

#[cfg(test)]
mod tests {
    use std::time::SystemTime;

    use servos_mesh::{KeyGeneration, MeshAddress, MeshStateBuilder, PeerEntry, PublicKey, Revision};

    use super::super::handshake_times::HandshakeTime;
    use super::*;
    use crate::PrivateKey;
    use crate::limits::Limits;

    fn table(public_key: PublicKey, key_generation: KeyGeneration) -> Arc<PeerTable> {
        let domain = "mesh.internal".parse().expect("a domain");
        let mut builder = MeshStateBuilder::new([1; 16], "test", domain, Revision(1));
        builder.peer(PeerEntry {
            public_key,
            key_generation,
            endpoint: Some("192.0.2.1:1".parse().expect("an endpoint")),
            address: MeshAddress::from_index(2).expect("an address"),
            name: "peer".parse().expect("a name"),
            since: Revision(1),
        });
        Arc::new(PeerTable::new(Arc::new(builder.build().expect("one peer")), None))
    }

    #[test]
    fn the_time_of_a_key_that_its_peer_rotated_is_not_kept() {
        let [before, after] = [PrivateKey::generate().public_key(), PrivateKey::generate().public_key()];
        let (now, first) = (Instant::now(), KeyGeneration::FIRST);
        let own = MeshAddress::from_index(1).expect("an address");
        let started = (now, SystemTime::now());
        let device = Device::new(PrivateKey::generate(), own, 1_420, Limits::default(), table(before, first), started);
        let peer = MeshAddress::from_index(2).expect("an address");
        device.session_to(now, peer.into(), 1).expect("a session");
        assert!(device.handshakes.lock().accept(&before, HandshakeTime::from_bits(1)));
        assert_eq!(device.apply(now, table(after, first.after_rotation())).rotated, 1);
        assert!(device.handshakes.lock().all().is_empty());
    }
}
