//! Percentiles of latency.

#![cfg(test)]

use std::time::Duration;

use servos_conformance_kit::Latency;

#[test]
fn percentiles_are_times_that_calls_took() {
    let of = |micros: &[u64]| Latency::of(micros.iter().copied().map(Duration::from_micros).collect());
    let hundred: Vec<u64> = (1..=100).rev().collect();
    let latency = of(&hundred).unwrap();
    assert_eq!((latency.calls, latency.p50_ns, latency.p90_ns), (100, 50_000, 90_000));
    assert_eq!((latency.p99_ns, latency.max_ns), (99_000, 100_000));
    let one = of(&[7]).unwrap();
    assert_eq!([one.p50_ns, one.p90_ns, one.p99_ns, one.max_ns], [7_000; 4]);
    let two = of(&[9, 1]).unwrap();
    assert_eq!([two.p50_ns, two.p90_ns], [1_000, 9_000]);
    assert_eq!(of(&[]), None);
}
