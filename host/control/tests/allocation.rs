//! Which address is given out, and how failed enrolments are counted: pure, against small models.

#![allow(clippy::unwrap_used, reason = "helpers of tests are tests")]

use std::collections::{HashSet, VecDeque};
use std::time::Duration;

use proptest::prelude::*;
use servos_control::allocation::{AddressPool, Allocation, choose};
use servos_control::http::enrol_throttle::EnrolThrottle;
use servos_control::limits::{ENROL_FAILURE_EVERY, ENROL_FAILURES};
use tokio::time::Instant;

proptest! {
    /// The model: a set of addresses in use, one that were ever used, and a queue of freed ones.
    #[test]
    fn no_address_is_given_twice_and_unused_ones_come_first(
        last in 1..12_u32,
        steps in prop::collection::vec(prop::option::weighted(0.4, any::<prop::sample::Index>()), 0..60),
    ) {
        let pool = AddressPool { first: 1, last };
        let (mut next, mut freed, mut used, mut ever) = (0, VecDeque::new(), Vec::new(), HashSet::new());
        for step in steps {
            if let (Some(which), false) = (step, used.is_empty()) {
                freed.push_back(used.swap_remove(which.index(used.len())));
                continue;
            }
            match choose(pool, next, freed.front().copied()) {
                Err(_) => prop_assert_eq!(used.len(), last as usize),
                Ok(Allocation::Fresh(address)) => {
                    prop_assert!(ever.insert(address.index()));
                    next = address.index() + 1;
                    used.push(address.index());
                }
                Ok(Allocation::Reused(address)) => {
                    prop_assert_eq!(ever.len(), last as usize, "reused while one was never used");
                    prop_assert_eq!(freed.pop_front(), Some(address.index()));
                    used.push(address.index());
                }
            }
            prop_assert_eq!(used.iter().collect::<HashSet<_>>().len(), used.len());
            prop_assert!(used.iter().all(|index| (1..=last).contains(index)));
        }
    }
}

#[test]
fn the_first_and_the_last_address_are_nobodys() {
    let pool = AddressPool::default();
    assert_eq!(choose(pool, 0, None).unwrap().address().to_string(), "100.64.0.1");
    assert_eq!(choose(pool, pool.last, None).unwrap().address().to_string(), "100.127.255.254");
    assert!(choose(pool, pool.last + 1, None).is_err());
}

#[test]
fn failures_are_forgiven_with_time_and_networks_counted_apart() {
    let throttle = EnrolThrottle::default();
    let start = Instant::now();
    let (guilty, same_network, other) =
        ("2001:db8::1".parse().unwrap(), "2001:db8::ffff".parse().unwrap(), "192.0.2.1".parse().unwrap());
    for _ in 0..ENROL_FAILURES {
        assert_eq!(throttle.pause(guilty, start), None);
        throttle.failed(guilty, start);
    }
    let pause = throttle.pause(guilty, start).unwrap();
    assert!(Duration::from_secs(pause.into()) <= ENROL_FAILURE_EVERY, "{pause}");
    assert!(throttle.pause(same_network, start).is_some());
    assert_eq!(throttle.pause(other, start), None);
    let later = start + Duration::from_secs(pause.into());
    assert_eq!(throttle.pause(guilty, later), None);
    throttle.failed(guilty, later);
    assert!(throttle.pause(guilty, later).is_some());
    assert_eq!(throttle.pause(guilty, later + ENROL_FAILURE_EVERY * ENROL_FAILURES), None);
}
