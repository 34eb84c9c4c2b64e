//! A hash table of record numbers and nothing else: 5.4 bytes a record, filled in an order that stays in the cache.
//!
//! A slot holds a number (22 bits: no mesh has more servers) and 10 bits of the hash, so that a record is hardly ever
//! read in vain. The records of a large mesh are first parted by where their slots lie: filled at random, a table of 4
//! million slots would miss the cache, and the pages' table, for each.

use crate::limits::MESH_ADDRESSES;

/// A slot that holds nothing. As a record number it would be the mesh's last address, which no server has.
const EMPTY: u32 = u32::MAX;

const NUMBER_BITS: u32 = MESH_ADDRESSES.trailing_zeros();
const NUMBER: u32 = (1 << NUMBER_BITS) - 1;

/// Parts that records are parted into: of the largest mesh, each covers 87 KiB of slots.
const PARTS: usize = 256;

/// Records from which on it is worth the while: fewer have slots that stay in the cache as they are.
const PARTED: usize = 1 << 16;

/// See the module.
pub(crate) struct Index {
    slots: Box<[u32]>,
}

/// A record on its way into the table: where it would like to be, and what stands in its slot.
#[derive(Clone, Copy, Default)]
struct Entry {
    home: u32,
    slot: u32,
}

impl Index {
    /// Takes `(hash, number)` of each record, in order. Of those that are the same the first stays; the others come
    /// back, in order.
    pub(crate) fn build(
        records: impl ExactSizeIterator<Item = Option<(u64, u32)>>,
        is_same: impl Fn(u32, u32) -> bool,
    ) -> (Self, Vec<u32>) {
        let parts = if records.len() < PARTED { 1 } else { PARTS };
        Self::build_in(parts, records, is_same)
    }

    /// The same, parted into so many.
    fn build_in(
        parts: usize,
        records: impl ExactSizeIterator<Item = Option<(u64, u32)>>,
        is_same: impl Fn(u32, u32) -> bool,
    ) -> (Self, Vec<u32>) {
        // One slot in four is free.
        let mut index = Self { slots: vec![EMPTY; records.len() * 4 / 3 + 1].into_boxed_slice() };
        // Hashes spread them evenly: so much more than the mean one part in 10^15 would take.
        let room = records.len() / parts + records.len() / parts / 16 + 64;
        let mut parted = vec![Entry::default(); parts * room];
        let mut filled = [0; PARTS];
        // Many of one hash; they come behind those of it that had room.
        let mut left_over = Vec::new();
        for (hash, number) in records.flatten() {
            let entry = Entry { home: index.home(hash), slot: slot(hash, number) };
            let part = scaled(hash, parts);
            if filled[part] == room {
                left_over.push(entry);
                continue;
            }
            parted[part * room + filled[part]] = entry;
            filled[part] += 1;
        }
        let parted = parted.chunks(room).zip(filled).flat_map(|(part, filled)| &part[..filled]).chain(&left_over);
        // By reference: collected from the entries themselves, the few that are left would keep the memory of all.
        let doubled = parted.filter(|entry| !index.insert(**entry, &is_same)).map(|entry| entry.slot & NUMBER);
        let mut doubled: Vec<u32> = doubled.collect();
        doubled.sort_unstable();
        (index, doubled)
    }

    /// The record with that hash that `is_it`.
    pub(crate) fn find(&self, hash: u64, mut is_it: impl FnMut(u32) -> bool) -> Option<u32> {
        let wanted = slot(hash, 0);
        self.run(self.home(hash)).map_while(|at| Some(self.slots[at]).filter(|found| *found != EMPTY)).find_map(
            |found| {
                let number = found & NUMBER;
                (found & !NUMBER == wanted && is_it(number)).then_some(number)
            },
        )
    }

    /// Puts an entry into the first free slot. False if the same is there.
    fn insert(&mut self, entry: Entry, is_same: &impl Fn(u32, u32) -> bool) -> bool {
        let mut at = entry.home as usize;
        loop {
            let found = self.slots[at];
            if found == EMPTY {
                self.slots[at] = entry.slot;
                return true;
            }
            if found & !NUMBER == entry.slot & !NUMBER && is_same(found & NUMBER, entry.slot & NUMBER) {
                return false;
            }
            at = if at + 1 == self.slots.len() { 0 } else { at + 1 };
        }
    }

    /// All slots, from one on.
    fn run(&self, home: u32) -> impl Iterator<Item = usize> {
        (home as usize..self.slots.len()).chain(0..home as usize)
    }

    /// Where a record with that hash would like to be.
    fn home(&self, hash: u64) -> u32 {
        scaled(hash, self.slots.len()) as u32
    }
}

/// The upper half of a hash, scaled to 0 up to `to`.
fn scaled(hash: u64, to: usize) -> usize {
    (((hash >> 32) * to as u64) >> 32) as usize
}

/// The lower bits of a hash, and a number.
fn slot(hash: u64, number: u32) -> u32 {
    (hash as u32) << NUMBER_BITS | number & NUMBER
}

#[cfg(test)]
mod tests {
    use std::collections::HashMap;

    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn agrees_with_a_map(values in prop::collection::vec(prop::option::of(0_u64..400), 0..900), spread: bool, many_parts: bool) {
            // Without spread all hashes are alike: the worst that can be.
            let hash = |value: u64| if spread { value.wrapping_mul(0x9e37_79b9_7f4a_7c15) } else { u64::MAX };
            let records = values.iter().enumerate().map(|(at, value)| value.map(|value| (hash(value), at as u32)));
            let parts = if many_parts { PARTS } else { 1 };
            let (index, doubled) =
                Index::build_in(parts, records, |one, other| values[one as usize] == values[other as usize]);
            let (mut firsts, mut expected) = (HashMap::<u64, u32>::new(), Vec::new());
            for (at, value) in values.iter().enumerate().filter_map(|(at, value)| Some((at as u32, (*value)?))) {
                if *firsts.entry(value).or_insert(at) != at {
                    expected.push(at);
                }
            }
            prop_assert_eq!(doubled, expected);
            for value in 0..400 {
                let found = index.find(hash(value), |at| values[at as usize] == Some(value));
                prop_assert_eq!(found, firsts.get(&value).copied());
            }
        }
    }

    #[test]
    fn less_than_five_and_a_half_bytes_a_record() {
        let records = (0..100_000_u32).map(|at| Some((u64::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15), at)));
        let (index, doubled) = Index::build(records, |one, other| one == other);
        assert_eq!(doubled.capacity(), 0, "memory is held for nothing");
        assert!(size_of_val(&*index.slots) * 2 <= 11 * 100_000);
    }
}
