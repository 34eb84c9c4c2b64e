//! Slows down whoever fails to enrol again and again. Constant memory, whoever comes: a network's counter is found by
//! a keyed hash, so nobody can aim at another's.

use std::hash::{BuildHasher, RandomState};
use std::net::{IpAddr, Ipv6Addr};

use parking_lot::Mutex;
use tokio::time::{Duration, Instant};

use crate::limits::{ENROL_COUNTERS, ENROL_FAILURE_EVERY, ENROL_FAILURES};

/// Failed enrolments by network.
#[derive(Debug)]
pub struct EnrolThrottle {
    start: Instant,
    key: RandomState,
    /// Milliseconds after `start` at which all failures so far will have been forgiven.
    forgiven_at: Mutex<Box<[u64]>>,
}

impl Default for EnrolThrottle {
    fn default() -> Self {
        Self {
            start: Instant::now(),
            key: RandomState::new(),
            forgiven_at: Mutex::new(vec![0; ENROL_COUNTERS].into_boxed_slice()),
        }
    }
}

impl EnrolThrottle {
    /// How many seconds `source` has to wait until it may try; none if it may at once.
    pub fn pause(&self, source: IpAddr, now: Instant) -> Option<u32> {
        let forgiven_at = self.forgiven_at.lock()[self.slot(source)];
        let debt = forgiven_at.saturating_sub(self.millis(now));
        let allowed = millis(ENROL_FAILURE_EVERY) * u64::from(ENROL_FAILURES - 1);
        let over = debt.checked_sub(allowed).filter(|over| *over > 0)?;
        Some(u32::try_from(over.div_ceil(1000)).unwrap_or(u32::MAX))
    }

    /// Counts a failure of `source`.
    pub fn failed(&self, source: IpAddr, now: Instant) {
        let slot = self.slot(source);
        let counter = &mut self.forgiven_at.lock()[slot];
        *counter = (*counter).max(self.millis(now)) + millis(ENROL_FAILURE_EVERY);
    }

    fn slot(&self, source: IpAddr) -> usize {
        self.key.hash_one(network(source)) as usize % ENROL_COUNTERS
    }

    fn millis(&self, now: Instant) -> u64 {
        millis(now.saturating_duration_since(self.start))
    }
}

/// One customer's addresses: an IPv4 address, or an IPv6 network of 64 bits.
fn network(source: IpAddr) -> IpAddr {
    match source.to_canonical() {
        IpAddr::V6(v6) => IpAddr::V6(Ipv6Addr::from_bits(v6.to_bits() & (u128::MAX << 64))),
        v4 => v4,
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
