//! The sessions there are: by slot (the upper 24 bits of a receiver index) and by address.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use parking_lot::Mutex;
use servos_mesh::MeshAddress;

use super::session::{Session, SessionCell};

/// Receiver indices are 32 bits, of which the library takes 8.
const MAX_SLOTS: u32 = 1 << 24;

#[derive(Default)]
pub(super) struct SessionTable {
    slots: Vec<Option<SessionCell>>,
    /// First freed, first used: an index rests as long as it can before it means another session.
    free: VecDeque<u32>,
    by_address: HashMap<MeshAddress, u32>,
}

impl SessionTable {
    pub(super) fn by_address(&self, address: MeshAddress) -> Option<SessionCell> {
        self.by_slot(*self.by_address.get(&address)?)
    }

    pub(super) fn by_slot(&self, slot: u32) -> Option<SessionCell> {
        self.slots.get(slot as usize)?.clone()
    }

    /// Puts a session in. `None` if all slots are taken.
    pub(super) fn insert(&mut self, address: MeshAddress, make: impl FnOnce(u32) -> Session) -> Option<SessionCell> {
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
        self.by_address.insert(address, slot);
        Some(cell)
    }

    pub(super) fn remove(&mut self, slot: u32, address: MeshAddress) {
        self.slots[slot as usize] = None;
        self.by_address.remove(&address);
        self.free.push_back(slot);
    }

    pub(super) fn all(&self) -> Vec<SessionCell> {
        self.slots.iter().flatten().cloned().collect()
    }

    pub(super) fn addresses(&self) -> impl Iterator<Item = MeshAddress> {
        self.by_address.keys().copied()
    }

    pub(super) fn len(&self) -> usize {
        self.by_address.len()
    }
}
