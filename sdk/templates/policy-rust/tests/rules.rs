//! What the plugin lets in, in a mesh in memory.

use my_plugin::MyPlugin;
use servos_plugin_sdk::policy::{Context, LocalInstance, Policy, Source, Transport};
use servos_plugin_sdk::testing::Mesh;

#[test]
fn what_runs_here_is_open_to_the_mesh_once() {
    let instance = LocalInstance { service: "api".to_owned(), transport: Transport::Tcp, port: 8080 };
    let context = Context {
        wireguard_port: 51820,
        interface: "wg0".to_owned(),
        instances: vec![instance.clone(), instance],
        proxy_ports: vec![80],
    };
    let open = |plugin: MyPlugin| {
        let rules = plugin.rules(&Mesh::new().server("s1"), &context);
        rules.into_iter().map(|rule| (rule.ports.0, rule.source)).collect::<Vec<_>>()
    };
    let wireguard = (51820, Source::Anywhere);
    assert_eq!(open(MyPlugin::default()), [wireguard, (8080, Source::Mesh), (80, Source::Mesh)]);
    assert_eq!(open(MyPlugin { proxy: false }), [wireguard, (8080, Source::Mesh)]);
}
