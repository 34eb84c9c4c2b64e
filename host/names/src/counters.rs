//! What the DNS server did, counted.

use std::sync::atomic::{AtomicU64, Ordering};

use serde::Serialize;

/// What the DNS server did since it was started.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct NameCounters {
    /// Questions that could be read.
    pub queries: u64,
    /// Answered from what the plugins had said before.
    pub cache_hits: u64,
    /// Questions put to the plugins; one query may take several.
    pub plugin_calls: u64,
    /// Sent on to an upstream.
    pub forwarded: u64,
    /// Forwarded, and no upstream answered.
    pub upstream_failures: u64,
    /// Addresses inside the mesh that an upstream answered with, dropped.
    pub rebinding_dropped: u64,
    /// Answered REFUSED.
    pub refused: u64,
    /// Answered SERVFAIL.
    pub servfail: u64,
    /// Of those, because too many were under way.
    pub overloaded: u64,
}

#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub queries: Count,
    pub cache_hits: Count,
    pub plugin_calls: Count,
    pub forwarded: Count,
    pub upstream_failures: Count,
    pub rebinding_dropped: Count,
    pub refused: Count,
    pub servfail: Count,
    pub overloaded: Count,
}

impl Counters {
    pub(crate) fn read(&self) -> NameCounters {
        NameCounters {
            queries: self.queries.get(),
            cache_hits: self.cache_hits.get(),
            plugin_calls: self.plugin_calls.get(),
            forwarded: self.forwarded.get(),
            upstream_failures: self.upstream_failures.get(),
            rebinding_dropped: self.rebinding_dropped.get(),
            refused: self.refused.get(),
            servfail: self.servfail.get(),
            overloaded: self.overloaded.get(),
        }
    }
}

#[derive(Debug, Default)]
pub(crate) struct Count(AtomicU64);

impl Count {
    pub(crate) fn add(&self, number: usize) {
        self.0.fetch_add(number as u64, Ordering::Relaxed);
    }

    fn get(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}
