//! `wg set` on a device whose peers are configured by it: keys, peers, allowed IPs, while it runs.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::{Duration, Instant};

use servos_mesh::PublicKey;

use super::changes::{Changes, PeerChange};
use super::configured_peers::ConfiguredPeer;
use super::own::Own;
use super::peer::{Peer, PeerId};
use super::{DatagramBatch, Device};
use crate::{PrivateKey, SessionStatus};

/// A device whose peers the mesh state decides cannot be configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct NotConfigurable;

impl Device {
    /// Makes the changes; what is to be sent goes into `out`. Port and mark are the shell's.
    ///
    /// # Errors
    ///
    /// [`NotConfigurable`]
    pub fn configure(&self, now: Instant, changes: &Changes, out: &mut DatagramBatch) -> Result<(), NotConfigurable> {
        let peers = self.peers.configured().ok_or(NotConfigurable)?;
        if let Some(key) = &changes.private_key {
            self.set_private_key(now, key.clone());
        }
        let own = self.private_key().map(|key| key.public_key());
        if changes.replace_peers {
            let kept: HashSet<PublicKey> = changes.peers.iter().map(|change| change.public_key).collect();
            let all: Vec<PublicKey> = peers.read().all().map(|(key, _)| *key).collect();
            for key in all.iter().filter(|key| !kept.contains(key)) {
                self.remove_peer(key);
            }
        }
        let mut named = HashSet::new();
        for change in &changes.peers {
            // Replaced by itself: what is not named goes, but what was agreed stays, and where it was heard from.
            let anew = changes.replace_peers && named.insert(change.public_key);
            // Nobody is a peer of itself.
            if change.remove || Some(change.public_key) == own {
                self.remove_peer(&change.public_key);
                continue;
            }
            let before = peers.read().by_key(&change.public_key).and_then(|peer| peer.keepalive);
            let changed = peers.write().change(change, anew);
            let peer = changed.and_then(|id| peers.read().peer(id));
            if let Some(peer) = peer {
                self.change_session(now, &peer, change, before, out);
            }
        }
        Ok(())
    }

    /// Whether peers are configured, and not a mesh's.
    pub fn is_configurable(&self) -> bool {
        self.peers.configured().is_some()
    }

    /// The peers as they were configured, each with its session; none on a device of a mesh.
    pub fn configured_peers(&self) -> Vec<(PublicKey, ConfiguredPeer, Option<SessionStatus>)> {
        let Some(peers) = self.peers.configured() else { return Vec::new() };
        let peers: Vec<_> = peers.read().all().map(|(key, peer)| (*key, peer.clone())).collect();
        let status = |id: PeerId| {
            let cell = self.sessions.read().by_peer(id)?;
            cell.lock().status(&self.common)
        };
        peers.into_iter().map(|(key, peer)| (key, peer.clone(), status(peer.id))).collect()
    }

    /// Takes another key: nothing that was agreed with the one before seals or opens any more. The one that is there, which
    /// `wg syncconf` names each time, changes nothing.
    fn set_private_key(&self, now: Instant, key: Option<PrivateKey>) {
        let is_same = match (&self.private_key(), &key) {
            (Some(before), Some(key)) => key.is(before),
            (before, key) => before.is_none() && key.is_none(),
        };
        if is_same {
            return;
        }
        let public = key.as_ref().map(PrivateKey::public_key);
        self.common.own.store(Arc::new(Own::new(now, key, self.common.limits.handshakes_a_second)));
        if let Some(public) = public {
            self.remove_peer(&public);
        }
        for cell in self.sessions.read().all() {
            cell.lock().forget_keypairs();
        }
    }

    fn remove_peer(&self, key: &PublicKey) {
        let Some(peers) = self.peers.configured() else { return };
        let removed = peers.write().remove(key);
        let cell = removed.and_then(|id| self.sessions.read().by_peer(id));
        if let Some(cell) = cell {
            self.remove_session(&cell, |_| true);
        }
    }

    /// Has the session of a changed peer follow; `before`: its keepalive.
    fn change_session(
        &self,
        now: Instant,
        peer: &Peer,
        change: &PeerChange,
        before: Option<Duration>,
        out: &mut DatagramBatch,
    ) {
        let keeps_alive = change.keepalive.is_some() && peer.keepalive.is_some();
        let cell = self.sessions.read().by_peer(peer.id);
        let cell = match cell {
            Some(cell) => cell,
            // One that is to be kept alive is in use from now on.
            None if keeps_alive => match self.make_session(now, peer.id, &peer.public_key) {
                Some(cell) => cell,
                None => return,
            },
            None => return,
        };
        let mut session = cell.lock();
        session.set_preshared(peer.preshared.clone());
        if let Some(endpoint) = change.endpoint {
            session.set_endpoint(endpoint);
        }
        if change.keepalive.is_some() || peer.keepalive != before {
            session.set_keepalive(&self.common, now, peer.keepalive, before.is_none(), out);
        }
        self.reschedule(&mut session);
    }
}
