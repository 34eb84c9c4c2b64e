//! How the plugin weighs.

use std::time::Duration;

use proptest::prelude::*;
use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::weighting::{Candidate, Directory, Health, Link, Protocol, Weighting};
use servos_plugin_traefik_failover::TraefikFailover;

fn mesh() -> Mesh {
    Mesh::new().server("s1").server("s2").server("s3").service("api", Protocol::Http, 80, true)
}

fn weigh(candidates: &[Candidate]) -> Vec<u16> {
    let mesh = mesh();
    let service = mesh.service_by_name("api").expect("the service");
    TraefikFailover::default().weigh(&mesh, &service, candidates)
}

fn candidate(server: &str, hint: u16, health: Health) -> Candidate {
    let mut instance = mesh().make_instance(server, 8080, health);
    instance.weight_hint = hint;
    Candidate { instance, current_weight: None }
}

#[test]
fn hints_of_the_healthy_and_nothing_for_the_others() {
    let mut cut_off = candidate("s3", 100, Health::Healthy);
    cut_off.instance.link = Link::Down;
    let all = [
        candidate("s1", 100, Health::Healthy),
        candidate("s2", 200, Health::Unknown),
        cut_off,
        candidate("s3", 100, Health::Unhealthy),
    ];
    assert_eq!(weigh(&all), [100, 200, 0, 0]);
}

#[test]
fn all_out_means_all_in() {
    let all = [candidate("s1", 100, Health::Unhealthy), candidate("s2", 50, Health::Unhealthy)];
    assert_eq!(weigh(&all), [100, 50]);
}

#[test]
fn a_returned_instance_waits_the_longer_the_more_it_flapped() {
    let steady = candidate("s1", 100, Health::Healthy);
    let mut returned = candidate("s2", 100, Health::Healthy);
    returned.current_weight = Some(0);
    for (flaps, millis, weight) in [(2, 1_999, 0), (2, 2_000, 100), (6, 7_999, 0), (6, 8_000, 100), (600, 64_000, 100)]
    {
        returned.instance.flaps = flaps;
        returned.instance.health_age = Duration::from_millis(millis);
        assert_eq!(weigh(&[steady.clone(), returned.clone()]), [100, weight], "{flaps} flaps, {millis} ms");
    }
}

#[test]
fn the_far_get_less_and_small_changes_none() {
    let mut near = candidate("s1", 100, Health::Healthy);
    near.instance.round_trip = Some(Duration::from_millis(1));
    let mut far = candidate("s2", 100, Health::Healthy);
    far.instance.round_trip = Some(Duration::from_millis(42));
    assert_eq!(weigh(&[near.clone(), far.clone()]), [100, 50]);
    far.instance.round_trip = Some(Duration::from_secs(9));
    assert_eq!(weigh(&[near.clone(), far.clone()]), [100, 25]);
    far.current_weight = Some(50);
    far.instance.round_trip = Some(Duration::from_millis(47));
    assert_eq!(weigh(&[near.clone(), far.clone()]), [100, 50]);
    far.instance.weight_hint = 40;
    assert_ne!(weigh(&[near, far])[1], 50, "the operator's hint was lowered below the weight in force");
}

#[test]
fn the_operators_own_change_is_never_too_small() {
    let mut raised = candidate("s2", 110, Health::Healthy);
    raised.current_weight = Some(100);
    for round_trip in [None, Some(Duration::from_millis(1))] {
        raised.instance.round_trip = round_trip;
        assert_eq!(weigh(&[candidate("s1", 100, Health::Healthy), raised.clone()]), [100, 110]);
    }
}

#[test]
fn who_returns_waits_for_nobody_while_the_others_are_down() {
    let mut returned = candidate("s1", 100, Health::Healthy);
    returned.current_weight = Some(0);
    returned.instance.health_age = Duration::ZERO;
    assert_eq!(weigh(&[returned.clone(), candidate("s2", 100, Health::Healthy)]), [0, 100]);
    assert_eq!(weigh(&[returned, candidate("s2", 100, Health::Unhealthy)]), [100, 0]);
}

#[test]
fn who_was_drained_stays_drained() {
    let drained = candidate("s1", 0, Health::Healthy);
    assert_eq!(weigh(&[drained.clone(), candidate("s2", 70, Health::Healthy)]), [0, 70]);
    assert_eq!(weigh(&[drained.clone(), candidate("s2", 70, Health::Unhealthy)]), [0, 70]);
    assert_eq!(weigh(&[drained.clone(), drained]), [0, 0]);
    assert_eq!(weigh(&[]), [0_u16; 0]);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let settings = |json: &str| serde_json::from_str::<TraefikFailover>(json).map_err(|error| error.to_string());
    assert!(settings(r#"{ "recovery": 5 }"#).is_err());
    for json in [
        r#"{ "recovery_ms": 600001 }"#,
        r#"{ "max_doublings": 11 }"#,
        r#"{ "near_us": 10000001 }"#,
        r#"{ "far_share_percent": 101 }"#,
        r#"{ "band_percent": 101 }"#,
    ] {
        assert!(settings(json).and_then(|plugin| plugin.check()).is_err(), "{json}");
    }
}

proptest! {
    /// An instance that flaps every half second changes its weight at most twice, however long it goes on.
    #[test]
    fn a_flapping_instance_does_not_flap_its_weight(rounds in 10_u32..200) {
        let steady = candidate("s1", 100, Health::Healthy);
        let mut flapping = candidate("s2", 100, Health::Healthy);
        flapping.current_weight = Some(100);
        let mut changes = 0;
        for round in 0..rounds {
            flapping.instance.health = if round % 2 == 0 { Health::Unhealthy } else { Health::Healthy };
            flapping.instance.flaps = round + 1;
            for millis in [0, 250, 499] {
                flapping.instance.health_age = Duration::from_millis(millis);
                let weight = weigh(&[steady.clone(), flapping.clone()])[1];
                changes += u32::from(flapping.current_weight != Some(weight));
                flapping.current_weight = Some(weight);
            }
        }
        prop_assert_eq!(changes, 1);
    }

    /// However its health comes and goes: an instance returns only from a stretch of health as long as the recovery,
    /// so that its weight changes at most twice for each of these, and once more.
    #[test]
    fn only_a_steady_recovery_changes_a_weight(stretches in prop::collection::vec(1_u64..60, 1..60)) {
        const TICK: u64 = 100;
        let steady = candidate("s1", 100, Health::Healthy);
        let mut flapping = candidate("s2", 100, Health::Healthy);
        flapping.current_weight = Some(100);
        let (mut changes, mut recoveries) = (0, 0);
        for (at, ticks) in stretches.into_iter().enumerate() {
            flapping.instance.health = if at % 2 == 0 { Health::Unhealthy } else { Health::Healthy };
            flapping.instance.flaps += 1;
            recoveries += u32::from(at % 2 == 1 && (ticks - 1) * TICK >= 2_000);
            for tick in 0..ticks {
                flapping.instance.health_age = Duration::from_millis(tick * TICK);
                let weight = weigh(&[steady.clone(), flapping.clone()])[1];
                changes += u32::from(flapping.current_weight != Some(weight));
                flapping.current_weight = Some(weight);
            }
        }
        prop_assert!(changes <= 2 * recoveries + 1, "{changes} changes, {recoveries} recoveries");
    }

    /// Round trips that differ by a few percent from one look to the next move no weight twice.
    #[test]
    fn noise_in_the_distance_moves_nothing(
        base in 1_000_u64..400_000,
        noise in prop::collection::vec(0_u64..10, 2..50),
    ) {
        let mut near = candidate("s1", 100, Health::Healthy);
        near.instance.round_trip = Some(Duration::from_micros(500));
        let mut far = candidate("s2", 100, Health::Healthy);
        let mut changes = 0;
        for percent in noise {
            far.instance.round_trip = Some(Duration::from_micros(base + base * percent / 100));
            let weight = weigh(&[near.clone(), far.clone()])[1];
            changes += u32::from(far.current_weight.is_some_and(|current| current != weight));
            far.current_weight = Some(weight);
        }
        prop_assert!(changes <= 1, "{changes} changes");
    }

    #[test]
    fn somebody_always_takes_traffic_and_nobody_more_than_the_hint(
        instances in prop::collection::vec((1_u16..1_000, 0_u8..3, 0_u8..4, 0_u64..100_000, prop::option::of(0_u16..1_000)), 1..20)
    ) {
        let candidates: Vec<_> = instances.into_iter().map(|(hint, health, link, micros, current)| {
            let health = [Health::Unknown, Health::Healthy, Health::Unhealthy][usize::from(health)];
            let mut candidate = candidate("s2", hint, health);
            candidate.instance.link = [Link::Local, Link::Up, Link::Idle, Link::Down][usize::from(link)];
            candidate.instance.round_trip = Some(Duration::from_micros(micros));
            candidate.current_weight = current;
            candidate
        }).collect();
        let weights = weigh(&candidates);
        prop_assert_eq!(weights.len(), candidates.len());
        prop_assert!(weights.iter().any(|&weight| weight > 0));
        for (weight, candidate) in weights.iter().zip(&candidates) {
            prop_assert!(*weight <= candidate.instance.weight_hint);
        }
        prop_assert_eq!(&weights, &weigh(&candidates));
    }
}
