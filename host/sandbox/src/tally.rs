//! What is counted of a plugin's calls: faults by kind, how long calls took, the most memory that an instance held.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use serde::Serialize;

use crate::Fault;
use crate::limits::LATENCY_BOUNDS;

/// Faults by kind.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FaultCounts {
    /// Calls past their deadline.
    pub deadline: u64,
    /// Calls that ended after memory was refused.
    pub memory: u64,
    /// Traps.
    pub trap: u64,
    /// Answers that make no sense.
    pub answer: u64,
    /// Starts at which the settings were refused.
    pub settings: u64,
}

impl FaultCounts {
    pub(crate) fn add(&mut self, fault: &Fault) {
        *match fault {
            Fault::Deadline(_) => &mut self.deadline,
            Fault::Memory { .. } => &mut self.memory,
            Fault::Trap(_) => &mut self.trap,
            Fault::Answer(_) => &mut self.answer,
            Fault::Settings(_) => &mut self.settings,
        } += 1;
    }
}

/// How long calls took, from the question to the checked answer or the fault; where an instance had to be waited for or
/// made, with that.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Latency {
    /// How many calls took at most so long, for each of [`LATENCY_BOUNDS`].
    pub buckets: Vec<LatencyBucket>,
    /// All calls.
    pub count: u64,
    /// Of all calls together.
    pub sum_seconds: f64,
}

/// Calls up to a bound.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct LatencyBucket {
    /// The bound, inclusive.
    pub le_seconds: f64,
    /// Calls that took no longer, those of the bounds before included.
    pub count: u64,
}

/// Counted without a lock.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// By bound; the last beyond all.
    calls: [AtomicU64; LATENCY_BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
    memory: AtomicUsize,
}

impl Tally {
    pub fn call(&self, took: Duration) {
        let at = LATENCY_BOUNDS.partition_point(|&bound| bound < took);
        self.calls[at].fetch_add(1, Ordering::Relaxed);
        self.nanoseconds.fetch_add(u64::try_from(took.as_nanos()).unwrap_or(u64::MAX), Ordering::Relaxed);
    }

    /// An instance holds so many bytes.
    pub fn memory(&self, bytes: usize) {
        self.memory.fetch_max(bytes, Ordering::Relaxed);
    }

    pub fn most_memory(&self) -> usize {
        self.memory.load(Ordering::Relaxed)
    }

    pub fn latency(&self) -> Latency {
        let mut count = 0;
        let mut upto = |calls: &AtomicU64| {
            count += calls.load(Ordering::Relaxed);
            count
        };
        let buckets = LATENCY_BOUNDS.iter().zip(&self.calls);
        let buckets =
            buckets.map(|(bound, calls)| LatencyBucket { le_seconds: bound.as_secs_f64(), count: upto(calls) });
        let buckets: Vec<_> = buckets.collect();
        let count = upto(&self.calls[LATENCY_BOUNDS.len()]);
        let sum = Duration::from_nanos(self.nanoseconds.load(Ordering::Relaxed));
        Latency { buckets, count, sum_seconds: sum.as_secs_f64() }
    }
}
