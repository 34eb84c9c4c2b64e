//! How long an instance is used: a number of calls, and an age. Pure; time comes in.

use std::time::Instant;

use crate::limits::{CALLS_PER_INSTANCE, INSTANCE_AGE};
use crate::manifest::Instances;

/// What is left to one instance.
#[derive(Clone, Copy, Debug)]
pub struct Life {
    calls: u32,
    began: Instant,
}

impl Life {
    /// Of an instance that begins at `began`.
    pub fn new(instances: Instances, began: Instant) -> Self {
        let calls = match instances {
            Instances::Warm => CALLS_PER_INSTANCE,
            Instances::Fresh => 1,
        };
        Self { calls, began }
    }

    /// A call is made.
    pub fn spend(&mut self) {
        self.calls = self.calls.saturating_sub(1);
    }

    /// Whether another is to be made in its place.
    pub fn is_over(&self, now: Instant) -> bool {
        self.calls == 0 || now.duration_since(self.began) >= INSTANCE_AGE
    }
}
