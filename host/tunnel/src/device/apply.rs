//! A new table: swapped in one step, then the sessions are looked at, and no other peer.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use servos_mesh::PeerTable;

use super::Device;

/// What a new table meant for the sessions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Applied {
    /// Sessions whose peer left or changed its key.
    pub ended: usize,
    /// Sessions that took their peer's changed endpoint.
    pub endpoints: usize,
    /// Sessions that were not touched.
    pub untouched: usize,
}

impl Device {
    /// Makes `table` the one that packets and handshakes are looked up in.
    pub fn apply(&self, now: Instant, table: Arc<PeerTable>) -> Applied {
        let before = self.table.swap(table.clone());
        let cells = self.sessions.read().all();
        let mut applied = Applied::default();
        for cell in cells {
            self.common.counters.sessions_visited.one();
            let mut session = cell.lock();
            let same_key = |record: &&servos_mesh::PeerRecord| record.public_key() == session.public_key();
            let record = table.peer_by_address(session.address()).filter(same_key);
            let Some(record) = record else {
                drop(session);
                applied.ended += usize::from(self.remove_session(&cell, |_| true));
                continue;
            };
            let known = before.peer_by_address(session.address()).and_then(|record| record.endpoint());
            let taken = match record.endpoint() {
                Some(endpoint) if known != Some(endpoint) => session.take_endpoint(now, known, endpoint),
                _ => false,
            };
            *if taken { &mut applied.endpoints } else { &mut applied.untouched } += 1;
        }
        applied
    }
}
