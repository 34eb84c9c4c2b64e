use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::weighting::{Protocol, Weighting};

use super::*;

fn weights(percent: u8, canary: Health, others: Health) -> Vec<u16> {
    let mesh = Mesh::new()
        .server("s1")
        .server("s2")
        .server("s3")
        .service("api", Protocol::Http, 80, true)
        .instance("api", "s1", 8080, others)
        .instance("api", "s2", 8080, others)
        .instance("api", "s3", 8080, canary);
    let plugin = Canary { servers: vec!["s3".to_owned()], percent };
    plugin.weigh(&mesh, &mesh.service_by_name("api").expect("a service"), &mesh.candidates("api"))
}

#[test]
fn canaries_get_their_percent_together() {
    assert_eq!(weights(10, Health::Healthy, Health::Healthy), [450, 450, 100]);
    assert_eq!(weights(0, Health::Healthy, Health::Healthy), [500, 500, 0]);
}

#[test]
fn whoever_works_takes_all_when_the_others_do_not() {
    assert_eq!(weights(10, Health::Unhealthy, Health::Healthy), [100, 100, 0]);
    assert_eq!(weights(10, Health::Healthy, Health::Unhealthy), [0, 0, 100]);
}

#[test]
fn more_than_everything_is_refused() {
    assert!(Canary { servers: Vec::new(), percent: 101 }.check().is_err());
}
