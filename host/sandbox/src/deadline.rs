//! When a call has run for too long: counted in time that its thread had a processor, because a guest is not to blame
//! for a machine that is busy. Pure; both clocks come in, once a tick.

use std::time::{Duration, Instant};

use crate::limits::STALLED;

/// The deadline of one call.
#[derive(Clone, Copy, Debug)]
pub struct Deadline {
    allowed: Duration,
    began: Instant,
    /// Processor time of the thread at the first tick. Most calls end before it, and never ask for it.
    baseline: Option<Duration>,
}

impl Deadline {
    /// A call that begins at `began` and may take `allowed`, and up to two ticks more.
    pub fn new(allowed: Duration, began: Instant) -> Self {
        Self { allowed, began, baseline: None }
    }

    /// Whether the time is up, at a tick: `now`, with the processor time that the thread has used in its life. It is
    /// also up when the call has stalled for [`STALLED`] beyond its deadline, since somebody waits for the answer.
    pub fn is_over(&mut self, now: Instant, processor: Duration) -> bool {
        let used = processor.saturating_sub(*self.baseline.get_or_insert(processor));
        used >= self.allowed || now.duration_since(self.began) >= self.allowed + STALLED
    }
}
