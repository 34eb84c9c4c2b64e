//! Rest, quarantine and trial, against the rules in words.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use servos_sandbox::limits::{FAULT_WINDOW, FIRST_BACKOFF, QUARANTINE_FAULTS, QUARANTINE_PAUSE};
use servos_sandbox::standing::{Admission, Standing, Ticket};

fn admitted(standing: &mut Standing, now: Instant) -> Ticket {
    match standing.admit(now) {
        Admission::Call(ticket) => ticket,
        other => panic!("{other:?}"),
    }
}

/// A plugin that was just set aside, and when.
fn quarantined() -> (Standing, Instant) {
    let mut standing = Standing::default();
    let mut now = Instant::now();
    for _ in 0..QUARANTINE_FAULTS {
        now += Duration::from_secs(1);
        let ticket = admitted(&mut standing, now);
        standing.faulted(ticket, now);
    }
    assert!(standing.is_quarantined());
    (standing, now)
}

#[test]
fn the_first_fault_costs_no_pause_and_the_next_ever_more() {
    let mut standing = Standing::default();
    let mut now = Instant::now();
    let ticket = admitted(&mut standing, now);
    standing.faulted(ticket, now);
    for pause in [FIRST_BACKOFF, 2 * FIRST_BACKOFF, 4 * FIRST_BACKOFF] {
        let ticket = admitted(&mut standing, now);
        standing.faulted(ticket, now);
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
        let ticket = admitted(&mut standing, now);
        standing.faulted(ticket, now);
        assert!(!standing.is_quarantined());
    }
}

#[test]
fn quarantine_ends_with_one_trial_that_succeeds() {
    let (mut standing, now) = quarantined();
    assert_eq!(standing.admit(now + QUARANTINE_PAUSE - Duration::from_secs(1)), Admission::Quarantined);
    let now = now + QUARANTINE_PAUSE;
    let trial = admitted(&mut standing, now);
    assert_eq!(standing.admit(now), Admission::Quarantined, "one at a time");
    standing.succeeded(trial);
    assert!(!standing.is_quarantined());
    admitted(&mut standing, now);
}

#[test]
fn a_trial_that_fails_or_is_lost_costs_another_pause() {
    let (mut standing, now) = quarantined();
    let now = now + QUARANTINE_PAUSE;
    let trial = admitted(&mut standing, now);
    standing.faulted(trial, now);
    assert_eq!(standing.admit(now + QUARANTINE_PAUSE - Duration::from_secs(1)), Admission::Quarantined);
    let now = now + QUARANTINE_PAUSE;
    let _lost = admitted(&mut standing, now);
    assert_eq!(standing.admit(now + QUARANTINE_PAUSE - Duration::from_secs(1)), Admission::Quarantined);
    admitted(&mut standing, now + QUARANTINE_PAUSE);
}

#[test]
fn a_call_that_began_before_the_quarantine_does_not_end_it() {
    let mut standing = Standing::default();
    let now = Instant::now();
    let tickets: Vec<_> = (0..=QUARANTINE_FAULTS).map(|_| admitted(&mut standing, now)).collect();
    tickets[1..].iter().for_each(|&ticket| standing.faulted(ticket, now));
    standing.succeeded(tickets[0]);
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
                Admission::Call(ticket) if good => standing.succeeded(ticket),
                Admission::Call(ticket) => {
                    standing.faulted(ticket, now);
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
