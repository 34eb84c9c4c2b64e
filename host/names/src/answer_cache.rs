//! What was answered before, for as long as it is the answer: one age of the mesh and of the plugins.
//!
//! Two halves: what is asked for stays in the young one; when that is full it becomes the old one, and what nobody asked
//! for since goes. So it is bounded, and forgets in constant time.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;

/// The age that an answer is of. Both numbers only grow.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Age {
    /// `Snapshot::generation`.
    pub generation: u64,
    /// `Resolve::changes`.
    pub changes: u64,
}

#[derive(Debug)]
pub(crate) struct AnswerCache<K, V> {
    age: Age,
    half: usize,
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Clone, V: Clone> AnswerCache<K, V> {
    /// `half`: how many answers each half holds.
    pub(crate) fn new(half: usize) -> Self {
        Self { age: Age::default(), half, young: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn get(&mut self, age: Age, key: &K) -> Option<V> {
        if age != self.age {
            return None;
        }
        if let Some(value) = self.young.get(key) {
            return Some(value.clone());
        }
        let (key, value) = self.old.remove_entry(key)?;
        self.keep(key, value.clone());
        Some(value)
    }

    /// An answer of an age that is over is not kept.
    pub(crate) fn insert(&mut self, age: Age, key: K, value: V) {
        let newer = age.generation >= self.age.generation && age.changes >= self.age.changes;
        if !newer {
            return;
        }
        if age != self.age {
            self.age = age;
            self.young.clear();
            self.old.clear();
        }
        self.keep(key, value);
    }

    fn keep(&mut self, key: K, value: V) {
        if self.young.len() >= self.half {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, value);
    }
}
