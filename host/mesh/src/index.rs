//! A hash table of record numbers and nothing else: 4.5 bytes a record, built in one pass over memory that stays in the
//! cache.
//!
//! A slot holds a number (22 bits: no mesh has more servers) and 10 bits of the hash, so that a record is hardly ever
//! read in vain. Records are first parted by where their slots lie: filled at random, a table of 4 million slots would
//! miss the cache, and the pages' table, for each.

use crate::limits::MESH_ADDRESSES;

/// A slot that holds nothing. As a record number it would be the mesh's last address, which no server has.
const EMPTY: u32 = u32::MAX;

const NUMBER_BITS: u32 = MESH_ADDRESSES.trailing_zeros();
const NUMBER: u32 = (1 << NUMBER_BITS) - 1;

/// Parts that records are parted into: of the largest mesh, each covers 73 KiB of slots.
const PARTS: usize = 256;

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
        // One slot in ten is free.
        let mut index = Self { slots: vec![EMPTY; records.len() * 10 / 9 + 1].into_boxed_slice() };
        let mut entries = Vec::with_capacity(records.len());
        let mut starts = [0_usize; PARTS + 1];
        for (hash, number) in records.flatten() {
            let entry = Entry { home: index.home(hash), slot: slot(hash, number) };
            starts[index.part(entry.home) + 1] += 1;
            entries.push(entry);
        }
        for part in 0..PARTS {
            starts[part + 1] += starts[part];
        }
        let mut parted = vec![Entry::default(); entries.len()];
        for entry in &entries {
            let next = &mut starts[index.part(entry.home)];
            parted[*next] = *entry;
            *next += 1;
        }
        drop(entries);
        let mut doubled: Vec<u32> = parted
            .into_iter()
            .filter(|entry| !index.insert(*entry, &is_same))
            .map(|entry| entry.slot & NUMBER)
            .collect();
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

    /// The upper half of a hash, scaled to the slots.
    fn home(&self, hash: u64) -> u32 {
        (((hash >> 32) * self.slots.len() as u64) >> 32) as u32
    }

    fn part(&self, home: u32) -> usize {
        home as usize * PARTS / self.slots.len()
    }
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
        fn agrees_with_a_map(values in prop::collection::vec(prop::option::of(0_u64..400), 0..900), spread: bool) {
            // Without spread all hashes are alike: the worst that can be.
            let hash = |value: u64| if spread { value.wrapping_mul(0x9e37_79b9_7f4a_7c15) } else { u64::MAX };
            let records = values.iter().enumerate().map(|(at, value)| value.map(|value| (hash(value), at as u32)));
            let (index, doubled) =
                Index::build(records, |one, other| values[one as usize] == values[other as usize]);
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
    fn four_and_a_half_bytes_a_record() {
        let records = (0..100_000_u32).map(|at| Some((u64::from(at).wrapping_mul(0x9e37_79b9_7f4a_7c15), at)));
        let (index, doubled) = Index::build(records, |one, other| one == other);
        assert!(doubled.is_empty());
        assert!(size_of_val(&*index.slots) * 2 <= 9 * 100_000);
    }
}
