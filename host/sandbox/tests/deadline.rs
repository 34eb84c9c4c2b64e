//! A call is stopped for what it computes, not for what the machine does meanwhile.

#![cfg(test)]

use std::time::{Duration, Instant};

use servos_sandbox::deadline::Deadline;
use servos_sandbox::limits::STALLED;

const ALLOWED: Duration = Duration::from_millis(50);
const TICK: Duration = Duration::from_millis(5);

/// Ticks until the time is up, for a thread that gets that share of each tick, having run for an hour before.
fn ticks(share: u32) -> u32 {
    let began = Instant::now();
    let mut deadline = Deadline::new(ALLOWED, began);
    (1..).find(|&tick| deadline.is_over(began + tick * TICK, Duration::from_secs(3_600) + tick * TICK / share)).unwrap()
}

#[test]
fn a_guest_that_computes_all_along_is_stopped_after_its_deadline() {
    assert_eq!(ticks(1), 11);
}

#[test]
fn a_guest_that_gets_half_a_processor_gets_twice_the_time() {
    assert_eq!(ticks(2), 21);
}

#[test]
fn a_guest_that_gets_next_to_nothing_is_stopped_when_nobody_can_wait_any_longer() {
    assert_eq!(ticks(1_000_000) * TICK, ALLOWED + STALLED);
}
