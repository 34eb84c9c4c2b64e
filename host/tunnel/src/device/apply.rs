//! A new table: swapped in one step, then sessions are looked at, and no other peer: those of the peers that changed,
//! or all of them where that is not known.

use std::sync::Arc;
use std::time::Instant;

use serde::Serialize;
use servos_mesh::PeerTable;

use super::Device;
use super::peer::PeerId;

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
        for cell in cells {
            self.common.counters.sessions_visited.one();
            let mut session = cell.lock();
            let record = session.peer().mesh_address().and_then(|address| table.peer_by_address(address));
            let Some(record) = record.filter(|record| record.public_key() == session.public_key()) else {
                drop(session);
                applied.ended += usize::from(self.remove_session(&cell, |_| true));
                continue;
            };
            let known = before.peer_by_address(record.address()).and_then(|record| record.endpoint());
            let taken = match record.endpoint() {
                Some(endpoint) if known != Some(endpoint) => session.take_endpoint(now, known, endpoint),
                _ => false,
            };
            applied.endpoints += usize::from(taken);
        }
        applied.untouched = all.saturating_sub(applied.ended + applied.endpoints);
        applied
    }
}
