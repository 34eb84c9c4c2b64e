//! Whether a flow's packets wait too long: controlled delay (CoDel, RFC 8289 §5).
//!
//! A queue that stands is of little use: the flow that has it sends hardly faster, and all wait longer. Where each packet
//! waited for longer than [`CODEL_TARGET`] for as long as [`CODEL_INTERVAL`], one is taken from it, which tells its sender;
//! and the next ones sooner and sooner, until that is heard.

use std::time::{Duration, Instant};

use crate::limits::{CODEL_INTERVAL, CODEL_SPARED_BYTES, CODEL_TARGET};

/// What is remembered of one flow.
#[derive(Default)]
pub(super) struct Codel {
    /// Since when each packet waited too long.
    since: Option<Instant>,
    /// Whether they are taken one after the other.
    is_taking: bool,
    /// When the next is due, or would have been.
    next: Option<Instant>,
    /// How many were taken at this pace, which the pauses follow from; and with how many of them it began.
    taken: u32,
    taken_before: u32,
}

impl Codel {
    /// Whether one is due: of a packet that waited for so long and has its turn, with so many bytes of its flow behind it.
    pub(super) fn is_due(&mut self, now: Instant, waited: Duration, behind: usize) -> bool {
        if waited < CODEL_TARGET || behind <= CODEL_SPARED_BYTES {
            (self.since, self.is_taking) = (None, false);
            return false;
        }
        let since = *self.since.get_or_insert(now);
        if self.is_taking {
            if self.next.is_some_and(|next| now < next) {
                return false;
            }
            self.taken = self.taken.saturating_add(1);
            self.next = Some(self.next.unwrap_or(now) + self.pause());
            return true;
        }
        if now.duration_since(since) < CODEL_INTERVAL {
            return false;
        }
        // Soon after the last time it begins with the pace that was needed then.
        let is_soon = self.next.is_some_and(|next| now.saturating_duration_since(next) < 16 * CODEL_INTERVAL);
        let new = self.taken - self.taken_before;
        self.taken = if is_soon && new > 1 { new } else { 1 };
        self.taken_before = self.taken;
        self.is_taking = true;
        self.next = Some(now + self.pause());
        true
    }

    /// Until the next: the flow answers each with a rate that falls with their root (§5.3).
    fn pause(&self) -> Duration {
        CODEL_INTERVAL.div_f64(f64::from(self.taken.max(1)).sqrt())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const LONG: Duration = CODEL_TARGET;
    const SHORT: Duration = Duration::from_micros(100);
    const MUCH: usize = CODEL_SPARED_BYTES + 1;

    /// When one was due, in microseconds from the start, of packets that waited for so long and came every 100 µs.
    fn due(
        codel: &mut Codel,
        start: Instant,
        micros: std::ops::Range<u64>,
        waited: Duration,
        behind: usize,
    ) -> Vec<u64> {
        let at = |micros| start + Duration::from_micros(micros);
        micros.step_by(100).filter(|micros| codel.is_due(at(*micros), waited, behind)).collect()
    }

    #[test]
    fn one_is_due_after_an_interval_and_then_sooner_and_sooner() {
        let (mut codel, start) = (Codel::default(), Instant::now());
        let interval = CODEL_INTERVAL.as_micros() as u64;
        let due = due(&mut codel, start, 0..10 * interval, LONG, MUCH);
        assert_eq!(due[..2], [interval, 2 * interval]);
        let pauses: Vec<u64> = due.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(pauses.windows(2).all(|pair| pair[1] <= pair[0] + 100), "{pauses:?}");
        // 1 + 1/√2 + 1/√3 + … intervals fit nine times, and the first.
        assert!((25..=40).contains(&due.len()), "{due:?}");
    }

    #[test]
    fn a_burst_loses_nothing() {
        let (mut codel, start) = (Codel::default(), Instant::now());
        let almost = CODEL_INTERVAL.as_micros() as u64;
        for at in 0..20 {
            let from = at * (almost + 100);
            assert_eq!(due(&mut codel, start, from..from + almost, LONG, MUCH), [0; 0]);
            assert_eq!(due(&mut codel, start, from + almost..from + almost + 100, SHORT, MUCH), [0; 0]);
        }
    }

    #[test]
    fn a_flow_that_has_little_waiting_loses_nothing() {
        let (mut codel, start) = (Codel::default(), Instant::now());
        assert_eq!(due(&mut codel, start, 0..100_000, 20 * LONG, CODEL_SPARED_BYTES), [0; 0]);
    }

    #[test]
    fn what_returns_soon_meets_the_pace_that_was_needed() {
        let (mut codel, start) = (Codel::default(), Instant::now());
        let interval = CODEL_INTERVAL.as_micros() as u64;
        let first = due(&mut codel, start, 0..6 * interval, LONG, MUCH).len();
        assert!(first > 6, "{first}");
        codel.is_due(start + 6 * CODEL_INTERVAL, SHORT, MUCH);
        let again = due(&mut codel, start, 6 * interval + 100..8 * interval + 100, LONG, MUCH);
        assert!(again.len() >= 3 && again[1] - again[0] < interval / 2, "{again:?}");
        codel.is_due(start + 8 * CODEL_INTERVAL, SHORT, MUCH);
        let later = due(&mut codel, start, 40 * interval..42 * interval + 100, LONG, MUCH);
        assert_eq!(later, [41 * interval, 42 * interval]);
    }
}
