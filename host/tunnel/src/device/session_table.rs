//! The sessions there are: by slot (the upper 24 bits of a receiver index) and by peer.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use super::peer::PeerId;
use super::session::{Session, SessionCell};
use parking_lot::Mutex;

/// Receiver indices are 32 bits; the lower 8 tell the handshakes of a session apart.
const MAX_SLOTS: u32 = 1 << 24;

#[derive(Default)]
pub(super) struct SessionTable {
    slots: Vec<Option<SessionCell>>,
    /// First freed, first used: an index rests as long as it can before it means another session.
    free: VecDeque<u32>,
    by_peer: HashMap<PeerId, u32>,
}

impl SessionTable {
    pub(super) fn by_peer(&self, peer: PeerId) -> Option<SessionCell> {
        self.by_slot(*self.by_peer.get(&peer)?)
    }

    pub(super) fn by_slot(&self, slot: u32) -> Option<SessionCell> {
        self.slots.get(slot as usize)?.clone()
    }

    /// Puts a session in. `None` if all slots are taken.
    pub(super) fn insert(&mut self, peer: PeerId, make: impl FnOnce(u32) -> Session) -> Option<SessionCell> {
        let slot = match self.free.pop_front() {
            Some(slot) => slot,
            None => {
                let slot = u32::try_from(self.slots.len()).ok().filter(|slot| *slot < MAX_SLOTS)?;
                self.slots.push(None);
                slot
            }
        };
        let cell = Arc::new(Mutex::new(make(slot)));
        self.slots[slot as usize] = Some(cell.clone());
        self.by_peer.insert(peer, slot);
        Some(cell)
    }

    pub(super) fn remove(&mut self, slot: u32, peer: PeerId) {
        self.slots[slot as usize] = None;
        self.by_peer.remove(&peer);
        self.free.push_back(slot);
    }

    /// Some sessions, taken at random.
    pub(super) fn sample(&self, count: usize) -> Vec<SessionCell> {
        let start = rand::random_range(0..self.slots.len().max(1));
        let (before, after) = self.slots.split_at(start.min(self.slots.len()));
        after.iter().chain(before).flatten().take(count).cloned().collect()
    }

    pub(super) fn all(&self) -> Vec<SessionCell> {
        self.slots.iter().flatten().cloned().collect()
    }

    /// Those of some peers, each once.
    pub(super) fn by_peers(&self, peers: impl Iterator<Item = PeerId>) -> Vec<SessionCell> {
        let slots: BTreeSet<u32> = peers.filter_map(|peer| self.by_peer.get(&peer).copied()).collect();
        slots.into_iter().filter_map(|slot| self.by_slot(slot)).collect()
    }

    pub(super) fn peers(&self) -> impl Iterator<Item = PeerId> {
        self.by_peer.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_peer.len()
    }
}
