//! When each peer last began a handshake that was answered: an initiation that is not newer is a replay, also when the
//! session is gone. `handshake_journal.rs` keeps the times over a restart.
//!
//! 16 bytes a peer: the first half of its key (as good as random, and as hard to collide with) and the timestamp in
//! 64 bits: 34 of seconds since 1970, 30 of nanoseconds.

use std::collections::HashMap;
use std::time::{SystemTime, UNIX_EPOCH};

use servos_mesh::PublicKey;

use crate::limits::{HANDSHAKE_FUTURE, KEPT_TIMESTAMPS};

/// TAI64's label of 1970-01-01 00:00:10 TAI, less ten seconds (<https://cr.yp.to/libtai/tai64.html>).
pub(super) const TAI64_EPOCH: u64 = 1 << 62;

/// The first half of a key, and when its owner last began a handshake.
pub(super) type Record = (u64, HandshakeTime);

/// A TAI64N timestamp of a handshake, in 64 bits that compare like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HandshakeTime(u64);

impl HandshakeTime {
    /// Seconds outside 1970 to 2514 are taken for the nearest bound.
    pub(super) fn from_tai64n(timestamp: &[u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, nanos @ ..] = *timestamp;
        let seconds = u64::from_be_bytes([a, b, c, d, e, f, g, h]).saturating_sub(TAI64_EPOCH).min((1 << 34) - 1);
        let nanos = u64::from(u32::from_be_bytes(nanos)).min((1 << 30) - 1);
        Self(seconds << 30 | nanos)
    }

    pub(super) fn from_bits(bits: u64) -> Self {
        Self(bits)
    }

    pub(super) fn bits(self) -> u64 {
        self.0
    }

    fn seconds(self) -> u64 {
        self.0 >> 30
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct HandshakeTimes {
    times: HashMap<u64, HandshakeTime>,
    /// What was accepted and is to be written; none where nothing is kept. No more come in than handshakes are granted.
    unwritten: Option<Vec<Record>>,
    /// It was said that there are too many.
    complained: bool,
}

impl HandshakeTimes {
    /// Takes over what was kept; all there is comes back.
    pub(super) fn take_over(&mut self, records: Vec<Record>) -> Vec<Record> {
        records.into_iter().for_each(|record| self.take_over_one(record));
        self.all()
    }

    /// Notes what is accepted from here on, to be written.
    pub(super) fn note_accepted(&mut self) {
        self.unwritten = Some(Vec::new());
    }

    /// Whether an initiation is newer than all before. If it is, it counts from here on.
    pub(super) fn accept(&mut self, key: &PublicKey, time: HandshakeTime) -> bool {
        let (short, full) = (short(key), self.times.len() >= KEPT_TIMESTAMPS);
        match self.times.get_mut(&short) {
            Some(last) if time <= *last => return false,
            Some(last) => *last = time,
            None if full => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(
                        kept = KEPT_TIMESTAMPS,
                        "too many times of handshakes: those of further peers are not kept"
                    );
                }
                return true;
            }
            None => drop(self.times.insert(short, time)),
        }
        if let Some(unwritten) = &mut self.unwritten {
            unwritten.push((short, time));
        }
        true
    }

    /// Nobody has the key any more. A file that keeps its time keeps it until it is written anew.
    pub(super) fn forget(&mut self, key: &PublicKey) {
        self.times.remove(&short(key));
    }

    pub(super) fn has_unwritten(&self) -> bool {
        self.unwritten.as_ref().is_some_and(|unwritten| !unwritten.is_empty())
    }

    /// What is to be written, and how many there are in all.
    pub(super) fn take_unwritten(&mut self) -> (Vec<Record>, usize) {
        (self.unwritten.as_mut().map(std::mem::take).unwrap_or_default(), self.times.len())
    }

    pub(super) fn all(&self) -> Vec<Record> {
        self.times.iter().map(|(short, time)| (*short, *time)).collect()
    }

    fn take_over_one(&mut self, (short, time): Record) {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // What cannot be, a damaged file says; it must not lock a peer out.
        if time.seconds() > (now + HANDSHAKE_FUTURE).as_secs() || self.times.len() >= KEPT_TIMESTAMPS {
            return;
        }
        let last = self.times.entry(short).or_insert(time);
        *last = time.max(*last);
    }
}

fn short(key: &PublicKey) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
