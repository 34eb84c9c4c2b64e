//! How the plugin spreads traffic, in a mesh in memory.

use std::time::Duration;

use my_plugin::MyPlugin;
use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::weighting::{Candidate, Directory, Health, Protocol, Weighting};

#[test]
fn what_fails_gets_nothing_and_what_is_slow_gets_half() {
    let mesh = Mesh::new().server("s1").server("s2").server("s3").service("api", Protocol::Http, 80, true);
    let mut slow = mesh.make_instance("s2", 8080, Health::Healthy);
    slow.round_trip = Some(Duration::from_millis(21));
    let mesh = mesh.instance("api", "s1", 8080, Health::Healthy).instance_with("api", slow).instance(
        "api",
        "s3",
        8080,
        Health::Unhealthy,
    );
    let candidates: Vec<_> =
        mesh.instances("api").into_iter().map(|instance| Candidate { instance, current_weight: None }).collect();
    let service = mesh.service_by_name("api").expect("the test's own service");

    assert_eq!(MyPlugin::default().weigh(&mesh, &service, &candidates), [100, 50, 0]);
}
