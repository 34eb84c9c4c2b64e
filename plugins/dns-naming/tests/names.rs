//! What the plugin answers.

use std::net::Ipv4Addr;
use std::time::Duration;

use proptest::prelude::*;
use servos_plugin_dns_naming::DnsNaming;
use servos_plugin_sdk::naming::{Health, Instance, Link, Naming, Outcome, Protocol, Question, Rdata, RecordType};
use servos_plugin_sdk::testing::Mesh;

fn mesh() -> Mesh {
    Mesh::new()
        .server("s1")
        .server("s2")
        .server("s3")
        .service("api", Protocol::Http, 80, true)
        .host("api", "api.example.org")
        .instance("api", "s2", 8080, Health::Healthy)
        .instance("api", "s1", 8080, Health::Healthy)
        .instance("api", "s3", 8080, Health::Unhealthy)
        .service("postgres", Protocol::Tcp, 5432, false)
        .instance("postgres", "s3", 5432, Health::Unknown)
        .service("empty", Protocol::Tcp, 1, false)
}

fn ask(mesh: &Mesh, name: &str, record_type: RecordType) -> Outcome {
    DnsNaming::default().resolve(mesh, &Question { name: name.to_owned(), record_type })
}

fn addresses(outcome: Outcome) -> Vec<Ipv4Addr> {
    let Outcome::Answers(answers) = outcome else { panic!("no answers: {outcome:?}") };
    answers
        .into_iter()
        .map(|answer| if let Rdata::A(address) = answer.rdata { address } else { panic!("no A") })
        .collect()
}

fn server(number: u8) -> Ipv4Addr {
    Ipv4Addr::new(100, 64, 0, number)
}

#[test]
fn own_instance_first_then_others_and_no_unhealthy_one() {
    assert_eq!(addresses(ask(&mesh(), "api", RecordType::A)), [server(1), server(2)]);
    assert_eq!(addresses(ask(&mesh(), "api.example.org", RecordType::A)), [server(1), server(2)]);
}

#[test]
fn the_nearer_of_two_comes_first() {
    let mut mesh = mesh().service("near", Protocol::Tcp, 1, false);
    for (name, millis) in [("s2", 9), ("s3", 2)] {
        let mut instance = mesh.make_instance(name, 1, Health::Healthy);
        instance.round_trip = Some(Duration::from_millis(millis));
        mesh = mesh.instance_with("near", instance);
    }
    assert_eq!(addresses(ask(&mesh, "near", RecordType::A)), [server(3), server(2)]);
}

#[test]
fn all_instances_while_all_are_down() {
    let mut mesh = mesh().service("sad", Protocol::Tcp, 1, false).instance("sad", "s2", 1, Health::Unhealthy);
    let mut instance = mesh.make_instance("s3", 1, Health::Healthy);
    instance.link = Link::Down;
    mesh = mesh.instance_with("sad", instance);
    assert_eq!(addresses(ask(&mesh, "sad", RecordType::A)).len(), 2);
}

#[test]
fn the_proxy_for_failover_over_http_on_its_port_alone() {
    assert_eq!(addresses(ask(&mesh().proxy(&[80]), "api", RecordType::A)), [server(1)]);
    assert_eq!(addresses(ask(&mesh().proxy(&[443]), "api", RecordType::A)), [server(1), server(2)]);
    assert_eq!(addresses(ask(&mesh().proxy(&[5432]), "postgres", RecordType::A)), [server(3)]);
}

#[test]
fn srv_by_each_of_its_names() {
    for name in ["postgres", "_postgres._tcp", "_tcp._tcp.postgres"] {
        let Outcome::Answers(answers) = ask(&mesh(), name, RecordType::Srv) else { panic!("{name}: no answers") };
        let expected = Rdata::Srv { priority: 0, weight: 100, port: 5432, target: "s3".to_owned() };
        assert_eq!(answers[0].rdata, expected, "{name}");
    }
    for name in ["api", "_api._tcp", "_http._tcp.api", "_api._tcp.api", "_http._tcp.api.example.org"] {
        assert!(matches!(ask(&mesh(), name, RecordType::Srv), Outcome::Answers(_)), "{name}");
    }
    for name in ["_postgres._udp", "_ldap._tcp.api", "_http._udp.api"] {
        assert_eq!(ask(&mesh(), name, RecordType::Srv), Outcome::NoSuchName, "{name}");
    }
    for name in ["_nobody._tcp", "_http._tcp.nobody", "_ldap._tcp.api.example.org", "_tcp", "_http.api"] {
        assert_eq!(ask(&mesh(), name, RecordType::Srv), Outcome::Pass, "{name}");
    }
}

#[test]
fn srv_puts_the_equally_good_at_one_priority_with_their_weights() {
    let mut mesh = mesh().service("db", Protocol::Tcp, 5432, false).instance("db", "s1", 1, Health::Healthy);
    for (name, hint, health) in [("s2", 300, Health::Healthy), ("s3", 10, Health::Healthy), ("s2", 7, Health::Unknown)]
    {
        let instance = mesh.make_instance(name, hint, health);
        mesh = mesh.instance_with("db", Instance { weight_hint: hint, ..instance });
    }
    let Outcome::Answers(answers) = ask(&mesh, "db", RecordType::Srv) else { panic!("no answers") };
    let found: Vec<_> = answers
        .into_iter()
        .map(|answer| match answer.rdata {
            Rdata::Srv { priority, weight, target, .. } => (priority, weight, target),
            other => panic!("{other:?}"),
        })
        .collect();
    let expected = [(0, 100, "s1"), (1, 300, "s2"), (1, 10, "s3"), (2, 7, "s2")];
    assert_eq!(found, expected.map(|(priority, weight, target)| (priority, weight, target.to_owned())));
}

#[test]
fn an_instance_of_weight_0_is_answered_only_while_there_is_no_other() {
    let mesh = mesh().service("db", Protocol::Tcp, 5432, false);
    let drained = Instance { weight_hint: 0, ..mesh.make_instance("s1", 1, Health::Healthy) };
    let mesh = mesh.instance_with("db", drained);
    assert_eq!(addresses(ask(&mesh, "db", RecordType::A)), [server(1)]);
    let mesh = mesh.instance("db", "s2", 1, Health::Unknown);
    assert_eq!(addresses(ask(&mesh, "db", RecordType::A)), [server(2)]);
}

#[test]
fn settings_change_what_is_answered() {
    let with = |json: &str, mesh: &Mesh| {
        let plugin: DnsNaming = serde_json::from_str(json).expect("settings");
        plugin.resolve(mesh, &Question { name: "api".to_owned(), record_type: RecordType::A })
    };
    assert_eq!(addresses(with(r#"{ "max_answers": 1 }"#, &mesh())), [server(1)]);
    assert_eq!(addresses(with(r#"{ "proxy": false }"#, &mesh().proxy(&[80]))), [server(1), server(2)]);
    let Outcome::Answers(answers) = with(r#"{ "ttl": 9 }"#, &mesh()) else { panic!("no answers") };
    assert_eq!(answers[0].ttl, 9);
    let mut mesh = mesh().service("api", Protocol::Tcp, 80, false);
    for (name, millis) in [("s1", 3), ("s2", 1)] {
        let instance = mesh.make_instance(name, 80, Health::Healthy);
        mesh = mesh.instance_with("api", Instance { round_trip: Some(Duration::from_millis(millis)), ..instance });
    }
    assert_eq!(addresses(with("{}", &mesh)), [server(1), server(2)]);
    assert_eq!(addresses(with(r#"{ "prefer_local": false }"#, &mesh)), [server(2), server(1)]);
}

#[test]
fn servers_and_their_addresses() {
    assert_eq!(addresses(ask(&mesh(), "s2", RecordType::A)), [server(2)]);
    let Outcome::Answers(answers) = ask(&mesh(), "2.0.64.100.in-addr.arpa", RecordType::Ptr) else { panic!("no PTR") };
    assert_eq!(answers[0].rdata, Rdata::Ptr("s2".to_owned()));
    assert_eq!(ask(&mesh(), "9.0.64.100.in-addr.arpa", RecordType::Ptr), Outcome::Pass);
}

#[test]
fn a_name_without_that_type_is_no_data_and_a_strangers_name_passes() {
    for name in ["api", "s1", "empty", "2.0.64.100.in-addr.arpa", "_postgres._tcp"] {
        assert_eq!(ask(&mesh(), name, RecordType::Aaaa), Outcome::NoData, "{name}");
    }
    assert_eq!(ask(&mesh(), "empty", RecordType::A), Outcome::NoData);
    assert_eq!(ask(&mesh(), "example.com", RecordType::A), Outcome::Pass);
}

#[test]
fn settings_that_make_no_sense_are_refused() {
    let settings = |json: &str| serde_json::from_str::<DnsNaming>(json).map_err(|error| error.to_string());
    assert!(settings(r#"{ "tll": 5 }"#).is_err());
    for (json, remedy) in [
        (r#"{ "max_answers": 0 }"#, "give 1 to 64"),
        (r#"{ "ttl": 61 }"#, "give 60 seconds at most: the host lowers it to that"),
    ] {
        let error = settings(json).and_then(|plugin| plugin.check()).expect_err(json);
        assert!(error.contains(remedy), "{json}: {error}");
    }
    assert!(settings(r#"{ "ttl": 60 }"#).and_then(|plugin| plugin.check()).is_ok());
}

proptest! {
    #[test]
    fn any_name_has_one_outcome(
        name in "([ -~]{0,80}|(_[a-z]{0,4}\\.){0,3}(api|s1|empty)?|[0-9.]{0,20}\\.in-addr\\.arpa)",
        kind in 0_usize..6,
    ) {
        let kinds = [RecordType::A, RecordType::Aaaa, RecordType::Srv, RecordType::Ptr, RecordType::Txt, RecordType::Other];
        let mesh = mesh();
        prop_assert_eq!(ask(&mesh, &name, kinds[kind]), ask(&mesh, &name, kinds[kind]));
    }
}
