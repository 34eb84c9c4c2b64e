use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::weighting::{Instance, Protocol, Weighting};

use super::*;

fn weights(mesh: &Mesh) -> Vec<u16> {
    let plugin = Region::default();
    plugin.weigh(mesh, &mesh.service_by_name("api").expect("a service"), &mesh.candidates("api"))
}

fn mesh(health_at_home: Health) -> Mesh {
    Mesh::new()
        .server("fra-web-1")
        .server("fra-web-2")
        .server("nyc-web-1")
        .service("api", Protocol::Http, 80, true)
        .instance("api", "fra-web-2", 8080, health_at_home)
        .instance("api", "nyc-web-1", 8080, Health::Healthy)
}

#[test]
fn traffic_stays_at_home() {
    assert_eq!(weights(&mesh(Health::Healthy)), [100, 5]);
}

#[test]
fn it_goes_elsewhere_when_nobody_works_at_home() {
    assert_eq!(weights(&mesh(Health::Unhealthy)), [0, 100]);
}

#[test]
fn one_that_the_operator_took_out_keeps_no_traffic_at_home() {
    let mesh = mesh(Health::Unhealthy);
    let taken_out = Instance { weight_hint: 0, ..mesh.make_instance("fra-web-1", 8080, Health::Healthy) };
    assert_eq!(weights(&mesh.instance_with("api", taken_out)), [0, 100, 0]);
}

#[test]
fn a_label_spreads_a_service_over_all_regions() {
    assert_eq!(weights(&mesh(Health::Healthy).label("api", "affinity", "none")), [100, 100]);
}

#[test]
fn settings_out_of_range_are_refused() {
    assert!(Region { elsewhere_percent: 101 }.check().is_err());
}
