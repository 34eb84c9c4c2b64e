//! What was answered before, for as long as it is the answer: one age of the mesh and of the plugins, and within it as
//! long as the plugins allow. Pure; time comes in.
//!
//! Two halves: what is asked for stays in the young one; when that is full it becomes the old one, and what nobody asked
//! for since goes. So it is bounded, and forgets in constant time.

use std::collections::HashMap;
use std::hash::Hash;
use std::mem;
use std::time::Instant;

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
    young: HashMap<K, Kept<V>>,
    old: HashMap<K, Kept<V>>,
}

#[derive(Clone, Debug)]
struct Kept<V> {
    value: V,
    /// None: as long as the age.
    until: Option<Instant>,
}

impl<V> Kept<V> {
    fn holds(&self, now: Instant) -> bool {
        self.until.is_none_or(|until| now < until)
    }
}

impl<K: Eq + Hash + Clone, V: Clone> AnswerCache<K, V> {
    /// `half`: how many answers each half holds.
    pub(crate) fn new(half: usize) -> Self {
        Self { age: Age::default(), half, young: HashMap::new(), old: HashMap::new() }
    }

    pub(crate) fn get(&mut self, age: Age, now: Instant, key: &K) -> Option<V> {
        if age != self.age {
            return None;
        }
        if let Some(kept) = self.young.get(key) {
            return kept.holds(now).then(|| kept.value.clone());
        }
        let (key, kept) = self.old.remove_entry(key).filter(|(_, kept)| kept.holds(now))?;
        let value = kept.value.clone();
        self.keep(key, kept);
        Some(value)
    }

    /// An answer of an age that is over is not kept, nor one beyond `until`.
    pub(crate) fn insert(&mut self, age: Age, key: K, value: V, until: Option<Instant>) {
        let newer = age.generation >= self.age.generation && age.changes >= self.age.changes;
        if !newer {
            return;
        }
        if age != self.age {
            self.age = age;
            self.young.clear();
            self.old.clear();
        }
        self.keep(key, Kept { value, until });
    }

    fn keep(&mut self, key: K, kept: Kept<V>) {
        if self.young.len() >= self.half {
            self.old = mem::take(&mut self.young);
        }
        self.young.insert(key, kept);
    }
}
