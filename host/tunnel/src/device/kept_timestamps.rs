//! Timestamps of the last handshakes of evicted peers, so that no old initiation makes a session anew.
//!
//! 16 bytes a peer: the first half of its key (as good as random, and as hard to collide with) and the timestamp in
//! 64 bits: 34 of seconds since 1970, 30 of nanoseconds.

use std::collections::HashMap;

use servos_mesh::PublicKey;

use crate::limits::KEPT_TIMESTAMPS;

/// TAI64's label of 1970-01-01 00:00:10 TAI, less ten seconds (<https://cr.yp.to/libtai/tai64.html>).
pub(super) const TAI64_EPOCH: u64 = 1 << 62;

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
}

#[derive(Debug, Default)]
pub(super) struct KeptTimestamps(HashMap<u64, HandshakeTime>);

impl KeptTimestamps {
    /// Keeps the newer of what is kept and `timestamp`.
    pub(super) fn keep(&mut self, key: &PublicKey, timestamp: HandshakeTime) {
        if self.0.len() >= KEPT_TIMESTAMPS && !self.0.contains_key(&short(key)) {
            return;
        }
        let kept = self.0.entry(short(key)).or_insert(timestamp);
        *kept = timestamp.max(*kept);
    }

    /// Whether an initiation with that timestamp may be new.
    pub(super) fn allows(&self, key: &PublicKey, timestamp: HandshakeTime) -> bool {
        self.0.get(&short(key)).is_none_or(|kept| timestamp > *kept)
    }
}

fn short(key: &PublicKey) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}
