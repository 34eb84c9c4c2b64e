//! How long is waited after failures.

use std::time::Duration;

use servos_agent::limits::{POLL_BACKOFF, RETRY_AFTER_CEILING};
use servos_agent::poll::pause_after;

const HALF_A_SECOND: Duration = Duration::from_millis(500);

#[test]
fn a_pause_doubles_with_each_failure_up_to_the_longest() {
    let (first, longest) = POLL_BACKOFF;
    for failures in 1..=40_u32 {
        let whole = first.saturating_mul(1 << (failures - 1).min(20)).min(longest);
        let pause = pause_after(failures, None);
        assert!((whole / 2..=whole).contains(&pause), "{failures}: {pause:?}");
    }
}

#[test]
fn whoever_asks_for_a_longer_pause_gets_it_and_for_none_does_not() {
    let (_, longest) = POLL_BACKOFF;
    for _ in 0..100 {
        let pause = pause_after(1, Some(RETRY_AFTER_CEILING));
        assert!((HALF_A_SECOND..=HALF_A_SECOND * 2).contains(&(pause - RETRY_AFTER_CEILING)), "{pause:?}");
        assert!(pause_after(1, Some(Duration::ZERO)) >= HALF_A_SECOND / 2);
        assert!(pause_after(20, Some(Duration::ZERO)) >= longest / 2);
    }
}

#[test]
fn servers_that_failed_together_do_not_come_again_together() {
    for asked in [None, Some(Duration::from_secs(7))] {
        let mut pauses: Vec<_> = (0..50).map(|_| pause_after(3, asked)).collect();
        pauses.sort();
        pauses.dedup();
        assert!(pauses.len() > 40, "{asked:?}: {pauses:?}");
    }
}
