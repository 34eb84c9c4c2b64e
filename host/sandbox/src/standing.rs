//! Whether a plugin may be called: the pause after a fault, quarantine after repeated ones until somebody ends it. Pure;
//! time comes in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits::{FAULT_WINDOW, FIRST_BACKOFF, QUARANTINE_FAULTS};

/// A plugin's record. A changed file or changed settings make another plugin, with another record.
#[derive(Debug, Default)]
pub struct Standing {
    /// Faults of the last [`FAULT_WINDOW`], oldest first; never more than [`QUARANTINE_FAULTS`].
    faults: VecDeque<Instant>,
    conduct: Conduct,
}

#[derive(Debug, Default, Clone, Copy)]
enum Conduct {
    #[default]
    Good,
    Resting {
        until: Instant,
    },
    Quarantined,
}

/// Whether a call may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may.
    Call,
    /// Not yet, after a fault.
    Resting,
    /// Not before somebody resets it, after repeated faults.
    Quarantined,
}

impl Standing {
    /// Asks for a call.
    pub fn admit(&self, now: Instant) -> Admission {
        match self.conduct {
            Conduct::Resting { until } if now < until => Admission::Resting,
            Conduct::Quarantined => Admission::Quarantined,
            Conduct::Good | Conduct::Resting { .. } => Admission::Call,
        }
    }

    /// A call ended in a fault.
    pub fn faulted(&mut self, now: Instant) {
        if self.is_quarantined() {
            return;
        }
        while self.faults.front().is_some_and(|&at| now.duration_since(at) > FAULT_WINDOW) {
            self.faults.pop_front();
        }
        self.faults.push_back(now);
        if self.faults.len() >= QUARANTINE_FAULTS {
            self.faults.clear();
            self.conduct = Conduct::Quarantined;
        } else {
            self.conduct = Conduct::Resting { until: now + rest(self.faults.len()) };
        }
    }

    /// Forgets all faults: whoever was set aside is called again.
    pub fn reset(&mut self) {
        *self = Self::default();
    }

    /// Whether the plugin is set aside.
    pub fn is_quarantined(&self) -> bool {
        matches!(self.conduct, Conduct::Quarantined)
    }
}

/// The pause after the `count`th fault in a window: none after the first, then doubling.
fn rest(count: usize) -> Duration {
    match count {
        0 | 1 => Duration::ZERO,
        more => FIRST_BACKOFF * 2_u32.saturating_pow(u32::try_from(more - 2).unwrap_or(u32::MAX)),
    }
}
