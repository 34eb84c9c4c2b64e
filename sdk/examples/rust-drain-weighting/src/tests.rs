use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::weighting::{Protocol, Weighting};

use super::*;

fn weights(drained: &[&str], other: Health) -> Vec<u16> {
    let mesh = Mesh::new()
        .server("s1")
        .server("s2")
        .service("api", Protocol::Http, 80, true)
        .instance("api", "s1", 8080, Health::Healthy)
        .instance("api", "s2", 8080, other);
    let servers = drained.iter().map(|&name| name.to_owned()).collect();
    let plugin = Drain { servers };
    plugin.weigh(&mesh, &mesh.service_by_name("api").expect("a service"), &mesh.candidates("api"))
}

#[test]
fn a_server_in_maintenance_gets_no_traffic() {
    assert_eq!(weights(&["s1"], Health::Healthy), [0, 100]);
    assert_eq!(weights(&[], Health::Healthy), [100, 100]);
}

#[test]
fn it_does_when_nobody_else_works() {
    assert_eq!(weights(&["s1"], Health::Unhealthy), [100, 0]);
    assert_eq!(weights(&["s1", "s2"], Health::Healthy), [100, 100]);
}
