//! A time-out: the sessions that are due are looked at, and no other.

use std::time::Instant;

use super::{DatagramBatch, Device};

impl Device {
    /// Does what is due at `now`. What is to be sent goes into `out`; [`Device::poll_timeout`] says when to come again.
    pub fn handle_timeout(&self, now: Instant, out: &mut DatagramBatch) {
        loop {
            let Some((due, slot)) = self.due.lock().pop(now) else { return };
            let Some(cell) = self.sessions.read().by_slot(slot) else { continue };
            let mut session = cell.lock();
            let (peer, key) = (session.peer(), *session.public_key());
            let record_endpoint = || self.peers.peer(peer).filter(|peer| peer.public_key == key)?.endpoint;
            let ends = session.fire(&self.common, now, due, record_endpoint, out);
            self.reschedule(&mut session);
            drop(session);
            if ends && !self.remove_session(&cell, |session| session.is_idle(now)) {
                // Used at the last moment: it goes on.
                let mut session = cell.lock();
                session.revive(now);
                self.reschedule(&mut session);
            }
        }
    }
}
