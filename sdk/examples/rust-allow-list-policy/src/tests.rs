use servos_plugin_sdk::policy::{LocalInstance, Transport};
use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::{Health, Protocol};

use super::*;

fn rules(clients: &[(&str, &[&str])]) -> Vec<Rule> {
    let mesh = Mesh::new()
        .server("s1")
        .server("s2")
        .server("s3")
        .service("db", Protocol::Tcp, 5432, false)
        .instance("db", "s1", 5432, Health::Unknown)
        .service("api", Protocol::Http, 80, true)
        .instance("api", "s2", 8080, Health::Healthy)
        .instance("api", "s3", 8080, Health::Healthy);
    let owned = |(service, clients): &(&str, &[&str])| {
        ((*service).to_owned(), clients.iter().map(|&client| client.to_owned()).collect())
    };
    let plugin = AllowList { clients: clients.iter().map(owned).collect() };
    let db = LocalInstance { service: "db".to_owned(), transport: Transport::Tcp, port: 5432 };
    let context =
        Context { wireguard_port: 51_820, interface: "wg0".to_owned(), instances: vec![db], proxy_ports: Vec::new() };
    plugin.rules(&mesh, &context)
}

#[test]
fn the_servers_of_a_client_are_let_in_and_nobody_else() {
    let rule = |last: u8| Rule {
        action: Action::Allow,
        transport: Transport::Tcp,
        ports: (5432, 5432),
        source: Source::Network { address: [100, 64, 0, last].into(), prefix_length: 32 },
        reason: "for api".to_owned(),
    };
    assert_eq!(rules(&[("db", &["api"])]), [rule(2), rule(3)]);
}

#[test]
fn a_service_that_is_not_listed_is_closed() {
    assert_eq!(rules(&[("api", &["db"]), ("db", &["nobody"])]), []);
}
