//! How long an instance is used, and what that means for a guest that remembers.

#![cfg(test)]

mod common;

use std::time::{Duration, Instant};

use common::guest::{CANNED, Naming};
use common::{load, mesh, question};
use servos_hostile_guests::answers::a_records;
use servos_sandbox::life::Life;
use servos_sandbox::limits::{CALLS_PER_INSTANCE, INSTANCE_AGE};
use servos_sandbox::naming::{Outcome, RecordType};
use servos_sandbox::{Instances, Plugin};

/// Answers with a TTL that counts its calls.
fn counting(manifest: &str) -> Plugin {
    let resolve = format!("(i32.store (i32.const 1036) (i32.add (i32.load (i32.const 1036)) (i32.const 1))) {CANNED}");
    let guest = Naming { resolve, answer: a_records(0, &[[100, 64, 0, 2]]), ..Naming::default() };
    load(&guest.component(), manifest)
}

fn counts(plugin: &Plugin) -> [u32; 3] {
    let mesh = mesh::snapshot();
    [(); 3].map(|()| match plugin.resolve(&mesh, &question("api", RecordType::A)) {
        Ok(Outcome::Answers(answers)) => answers[0].ttl,
        other => panic!("no answer: {other:?}"),
    })
}

#[test]
fn a_warm_instance_remembers_and_a_fresh_one_does_not() {
    // The trial was the first call.
    assert_eq!(counts(&counting("")), [2, 3, 4]);
    assert_eq!(counts(&counting("[limits]\ninstances = \"warm\"")), [2, 3, 4]);
    assert_eq!(counts(&counting("[limits]\ninstances = \"fresh\"")), [1, 1, 1]);
}

#[test]
fn a_life_ends_with_its_calls_or_its_age() {
    let began = Instant::now();
    let mut life = Life::new(Instances::Warm, began);
    (1..CALLS_PER_INSTANCE).for_each(|_| life.spend());
    assert!(!life.is_over(began));
    life.spend();
    assert!(life.is_over(began));

    let life = Life::new(Instances::Warm, began);
    assert!(!life.is_over(began + INSTANCE_AGE - Duration::from_nanos(1)));
    assert!(life.is_over(began + INSTANCE_AGE));

    let mut life = Life::new(Instances::Fresh, began);
    assert!(!life.is_over(began));
    life.spend();
    assert!(life.is_over(began));
}
