//! Verdicts from probes, against a naive model that looks at the whole history.

use std::time::{Duration, Instant};

use proptest::prelude::*;
use servos_failover::{Thresholds, Verdict};
use servos_mesh::Health;

const THRESHOLDS: Thresholds = Thresholds { unhealthy_after: 2, healthy_after: 3 };

/// Reads the history from its start: the obviously right, slow way.
fn model(history: &[bool]) -> Health {
    let mut health = Health::Unknown;
    let mut since = 0;
    for end in 1..=history.len() {
        let run = |value: bool| history[since..end].iter().rev().take_while(|&&passed| passed == value).count() as u32;
        let next = match health {
            Health::Unknown if history[end - 1] => Health::Healthy,
            Health::Unknown | Health::Healthy if run(false) >= THRESHOLDS.unhealthy_after => Health::Unhealthy,
            Health::Unhealthy if run(true) >= THRESHOLDS.healthy_after => Health::Healthy,
            same => same,
        };
        if next != health {
            health = next;
            since = end;
        }
    }
    health
}

proptest! {
    #[test]
    fn agrees_with_the_model(history in prop::collection::vec(any::<bool>(), 0..60)) {
        let start = Instant::now();
        let mut verdict = Verdict::new(start);
        for (at, &passed) in history.iter().enumerate() {
            let now = start + Duration::from_secs(at as u64);
            verdict.observe(now, passed.then_some(Duration::from_millis(1)), THRESHOLDS);
            prop_assert_eq!(verdict.observation(now).health, model(&history[..=at]));
        }
    }
}

#[test]
fn flaps_are_counted_for_ten_minutes() {
    let start = Instant::now();
    let mut verdict = Verdict::new(start);
    let mut now = start;
    let mut observe = |verdict: &mut Verdict, passed: bool, times: u32| {
        for _ in 0..times {
            now += Duration::from_secs(1);
            verdict.observe(now, passed.then_some(Duration::from_millis(1)), THRESHOLDS);
        }
        now
    };
    observe(&mut verdict, true, 1);
    observe(&mut verdict, false, 2);
    let now = observe(&mut verdict, true, 3);
    assert_eq!(verdict.observation(now).flaps, 2);
    assert_eq!(verdict.observation(now).changed_at, now);
    assert_eq!(verdict.observation(now + Duration::from_secs(601)).flaps, 0);
}

#[test]
fn round_trips_are_told_when_they_move_by_a_quarter() {
    let now = Instant::now();
    let mut verdict = Verdict::new(now);
    let millis = |time| Some(Duration::from_millis(time));
    assert!(verdict.observe(now, millis(80), THRESHOLDS), "the first verdict");
    assert!(!verdict.observe(now, millis(90), THRESHOLDS), "an eighth of 10 ms more");
    assert_eq!(verdict.observation(now).round_trip, millis(80));
    let told = (0..20).filter(|_| verdict.observe(now, millis(200), THRESHOLDS)).count();
    assert!((1..=5).contains(&told), "told {told} times");
}
