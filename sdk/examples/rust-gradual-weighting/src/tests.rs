use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::weighting::{Protocol, Weighting};

use super::*;

/// The weights of an instance, one after the other, from the one in force on.
fn weights(health: Health, current: Option<u16>) -> [u16; 3] {
    let mesh = Mesh::new().server("s1").service("api", Protocol::Http, 80, true).instance("api", "s1", 8080, health);
    let plugin = Gradual { step: 40 };
    let service = mesh.service_by_name("api").expect("a service");
    let mut candidates = mesh.candidates("api");
    candidates[0].current_weight = current;
    std::array::from_fn(|_| {
        let weight = plugin.weigh(&mesh, &service, &candidates)[0];
        candidates[0].current_weight = Some(weight);
        weight
    })
}

#[test]
fn a_weight_rises_and_falls_by_steps() {
    assert_eq!(weights(Health::Healthy, Some(0)), [40, 80, 100]);
    assert_eq!(weights(Health::Healthy, Some(200)), [160, 120, 100]);
}

#[test]
fn one_that_fails_is_out_at_once_and_one_that_is_first_seen_is_in() {
    assert_eq!(weights(Health::Unhealthy, Some(100)), [0, 0, 0]);
    assert_eq!(weights(Health::Healthy, None), [100, 100, 100]);
}

#[test]
fn one_that_comes_to_others_begins_with_a_step() {
    let mesh = Mesh::new().server("s1").server("s2").service("api", Protocol::Http, 80, true);
    let mesh = mesh.instance("api", "s1", 8080, Health::Healthy).instance("api", "s2", 8080, Health::Healthy);
    let plugin = Gradual { step: 40 };
    let mut candidates = mesh.candidates("api");
    candidates[0].current_weight = Some(100);
    let service = mesh.service_by_name("api").expect("a service");
    assert_eq!(plugin.weigh(&mesh, &service, &candidates), [100, 40]);
}

#[test]
fn no_step_is_refused() {
    assert!(Gradual { step: 0 }.check().is_err());
}
