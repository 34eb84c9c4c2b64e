//! Rest, quarantine and its end, against the rules in words.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use servos_sandbox::limits::{FAULT_WINDOW, FIRST_BACKOFF, QUARANTINE_FAULTS};
use servos_sandbox::standing::{Admission, Standing};

fn fault(standing: &mut Standing, now: Instant) {
    assert_eq!(standing.admit(now), Admission::Call);
    standing.faulted(now);
}

/// A plugin that was just set aside, and when.
fn quarantined() -> (Standing, Instant) {
    let mut standing = Standing::default();
    let mut now = Instant::now();
    for _ in 0..QUARANTINE_FAULTS {
        now += Duration::from_secs(1);
        fault(&mut standing, now);
    }
    assert!(standing.is_quarantined());
    (standing, now)
}

#[test]
fn the_first_fault_costs_no_pause_and_the_next_ever_more() {
    let mut standing = Standing::default();
    let mut now = Instant::now();
    fault(&mut standing, now);
    for pause in [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF] {
        fault(&mut standing, now);
        assert_eq!(standing.admit(now + pause - Duration::from_millis(1)), Admission::Resting);
        now += pause;
    }
}

#[test]
fn faults_far_apart_never_add_up() {
    let mut standing = Standing::default();
    let mut now = Instant::now();
    for _ in 0..100 {
        now += FAULT_WINDOW / (QUARANTINE_FAULTS as u32 - 1) + Duration::from_secs(1);
        fault(&mut standing, now);
        assert!(!standing.is_quarantined());
    }
}

#[test]
fn quarantine_lasts_until_it_is_reset() {
    let (mut standing, now) = quarantined();
    let much_later = now + 1_000 * FAULT_WINDOW;
    assert_eq!(standing.admit(much_later), Admission::Quarantined);
    // A call that began before.
    standing.faulted(much_later);
    assert_eq!(standing.admit(much_later), Admission::Quarantined);
    standing.reset();
    assert!(!standing.is_quarantined());
    (1..QUARANTINE_FAULTS).for_each(|_| standing.faulted(much_later));
    assert!(!standing.is_quarantined(), "the faults before are forgotten");
    standing.faulted(much_later);
    assert!(standing.is_quarantined());
}

proptest! {
    /// Whoever is called one at a time is set aside exactly when so many faults lie within the window.
    #[test]
    fn quarantine_is_a_matter_of_the_window(steps in prop::collection::vec((1_u64..30_000, any::<bool>()), 1..60)) {
        let mut standing = Standing::default();
        let mut now = Instant::now();
        let mut faults: Vec<Instant> = Vec::new();
        for (wait, good) in steps {
            now += Duration::from_millis(wait);
            match standing.admit(now) {
                Admission::Quarantined => unreachable!("the model stops at the first"),
                Admission::Resting => continue,
                Admission::Call if good => {}
                Admission::Call => {
                    standing.faulted(now);
                    faults.push(now);
                    let recent = faults.iter().filter(|&&at| now - at <= FAULT_WINDOW).count();
                    prop_assert_eq!(standing.is_quarantined(), recent >= QUARANTINE_FAULTS);
                    if standing.is_quarantined() {
                        return Ok(());
                    }
                }
            }
        }
    }
}
