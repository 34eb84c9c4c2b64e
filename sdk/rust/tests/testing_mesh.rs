//! The mesh of plugins' tests answers as the agent does.

use std::net::Ipv4Addr;

use servos_plugin_sdk::testing::Mesh;
use servos_plugin_sdk::{Directory, Health, Link, Protocol};

fn mesh() -> Mesh {
    Mesh::new()
        .server("s1")
        .server("s2")
        .service("api", Protocol::Http, 80, true)
        .host("api", "api.example.org")
        .label("api", "team", "web")
        .instance("api", "s2", 8080, Health::Healthy)
        .service("db", Protocol::Tcp, 5432, false)
        .instance("db", "s1", 5432, Health::Unknown)
}

#[test]
fn the_first_server_is_the_one_that_the_plugin_runs_on() {
    let mesh = mesh();
    assert_eq!(mesh.this_server().name, "s1");
    assert_eq!(mesh.instances("db")[0].link, Link::Local);
    assert_eq!(mesh.instances("api")[0].link, Link::Up);
    let local: Vec<_> = mesh.local_services().into_iter().map(|service| service.name).collect();
    assert_eq!(local, ["db"]);
}

#[test]
fn servers_are_found_by_name_and_address() {
    let address = Ipv4Addr::new(100, 64, 0, 2);
    assert_eq!(mesh().server_by_name("s2").expect("s2").address, address);
    assert_eq!(mesh().server_by_address(address).expect("s2").name, "s2");
    assert_eq!(mesh().server_by_name("s3"), None);
    assert_eq!(mesh().server_by_address(Ipv4Addr::new(100, 64, 0, 3)), None);
}

#[test]
fn services_are_found_by_name_and_host() {
    let api = mesh().service_by_name("api").expect("api");
    assert_eq!(api.labels, [("team".to_owned(), "web".to_owned())]);
    assert_eq!(mesh().service_by_host("api.example.org"), Some(api));
    assert_eq!((mesh().service_by_host("api"), mesh().service_by_name("api.example.org")), (None, None));
    assert_eq!(mesh().instances("nobody"), []);
}

#[test]
fn the_proxy_listens_when_told() {
    assert_eq!(mesh().failover_proxy(), None);
    let proxy = mesh().proxy(&[80, 443]).failover_proxy().expect("a proxy");
    assert_eq!((proxy.address, proxy.ports), (Ipv4Addr::new(100, 64, 0, 1), vec![80, 443]));
}
