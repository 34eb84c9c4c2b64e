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

#[cfg(test)]
mod tests {
    use std::time::{Duration, SystemTime};

    use servos_mesh::PublicKey;

    use super::super::changes::{Changes, PeerChange};
    use super::*;
    use crate::PrivateKey;
    use crate::limits::Limits;

    /// A table skips such a key; the session is held to it all the same.
    #[test]
    fn a_key_of_no_use_in_place_of_the_peers_ends_the_attempt_and_the_timeout_returns() {
        let now = Instant::now();
        let device = Device::configurable(1_420, Limits::default(), (now, SystemTime::now()));
        let mut peer = PeerChange::of(PrivateKey::generate().public_key());
        peer.endpoint = Some("192.0.2.1:1".parse().expect("an endpoint"));
        peer.keepalive = Some(Duration::from_secs(60));
        let private_key = Some(Some(PrivateKey::generate()));
        let mut out = DatagramBatch::default();
        let changes = Changes { private_key, peers: vec![peer], ..Changes::default() };
        device.configure(now, &changes, &mut out).expect("a configurable device");
        assert_eq!(out.datagrams().count(), 1, "an initiation");

        let cell = device.sessions.read().by_slot(0).expect("a session");
        let mut one = [0; 32];
        one[0] = 1;
        cell.lock().take_rotated_key(now, PublicKey::from_any_bytes(one).expect("not zero"));
        out.clear();
        for second in 0..100 {
            device.handle_timeout(now + Duration::from_secs(second), &mut out);
        }
        assert!(out.is_empty());
    }
}
