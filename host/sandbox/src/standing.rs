//! Whether a plugin may be called: the pause after a fault, quarantine after repeated ones, the trial that ends it.
//! Pure; time comes in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use crate::limits::{FAULT_WINDOW, FIRST_BACKOFF, QUARANTINE_FAULTS, QUARANTINE_PAUSE};

/// A plugin's record.
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
    Quarantined {
        until: Instant,
    },
}

/// Whether a call may go ahead.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Admission {
    /// It may; to be handed back with the result.
    Call(Ticket),
    /// Not yet, after a fault.
    Resting,
    /// Not for long, after repeated faults.
    Quarantined,
}

/// A call that was admitted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Ticket {
    /// The single call that may end the quarantine.
    trial: bool,
}

impl Standing {
    /// Asks for a call. After the pause of a quarantine exactly one caller is admitted; a trial that is never heard of
    /// again counts as failed.
    pub fn admit(&mut self, now: Instant) -> Admission {
        match self.conduct {
            Conduct::Resting { until } if now < until => Admission::Resting,
            Conduct::Quarantined { until } if now < until => Admission::Quarantined,
            Conduct::Quarantined { .. } => {
                self.conduct = Conduct::Quarantined { until: now + QUARANTINE_PAUSE };
                Admission::Call(Ticket { trial: true })
            }
            Conduct::Good | Conduct::Resting { .. } => Admission::Call(Ticket { trial: false }),
        }
    }

    /// The call ended well. A call that began before the quarantine does not end it.
    pub fn succeeded(&mut self, ticket: Ticket) {
        if ticket.trial {
            *self = Self::default();
        }
    }

    /// The call ended in a fault.
    pub fn faulted(&mut self, ticket: Ticket, now: Instant) {
        if self.is_quarantined() && !ticket.trial {
            return;
        }
        while self.faults.front().is_some_and(|&at| now.duration_since(at) > FAULT_WINDOW) {
            self.faults.pop_front();
        }
        self.faults.push_back(now);
        if ticket.trial || self.faults.len() >= QUARANTINE_FAULTS {
            self.faults.clear();
            self.conduct = Conduct::Quarantined { until: now + QUARANTINE_PAUSE };
        } else {
            self.conduct = Conduct::Resting { until: now + rest(self.faults.len()) };
        }
    }

    /// Whether the plugin is set aside.
    pub fn is_quarantined(&self) -> bool {
        matches!(self.conduct, Conduct::Quarantined { .. })
    }
}

/// The pause after the `count`th fault in a window: none after the first, then doubling.
fn rest(count: usize) -> Duration {
    match count {
        0 | 1 => Duration::ZERO,
        more => FIRST_BACKOFF * 2_u32.saturating_pow(u32::try_from(more - 2).unwrap_or(u32::MAX)),
    }
}
