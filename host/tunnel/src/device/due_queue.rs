//! What is due when: a heap over sessions. Known peers without a session never appear in it.
//!
//! An entry says "look at this session then". Each session knows for when it stands here; an entry that says otherwise
//! was overtaken by an earlier one, and is passed over when it comes up.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::time::Instant;

#[derive(Debug, Default)]
pub(super) struct DueQueue {
    heap: BinaryHeap<Reverse<(Instant, u32)>>,
    /// The earliest entry has become earlier since [`DueQueue::take_moved`].
    moved: bool,
}

impl DueQueue {
    /// Look at the session in `slot` at `due`.
    pub(super) fn push(&mut self, due: Instant, slot: u32) {
        self.moved |= self.earliest().is_none_or(|earliest| due < earliest);
        self.heap.push(Reverse((due, slot)));
    }

    /// Takes the next entry that is due: when it stood for, and the session's slot.
    pub(super) fn pop(&mut self, now: Instant) -> Option<(Instant, u32)> {
        let Reverse((due, _)) = self.heap.peek()?;
        if *due > now {
            return None;
        }
        self.heap.pop().map(|Reverse(entry)| entry)
    }

    pub(super) fn earliest(&self) -> Option<Instant> {
        self.heap.peek().map(|Reverse((due, _))| *due)
    }

    pub(super) fn take_moved(&mut self) -> bool {
        std::mem::take(&mut self.moved)
    }
}
