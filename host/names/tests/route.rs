//! Whose a question is.

#![cfg(test)]

use std::str::FromStr;

use hickory_proto::rr::{Name, RecordType};
use proptest::prelude::*;
use servos_names::route::{Otherwise, Route, Zone, route};

const DOMAIN: &str = "mesh.internal";

fn of(name: &str, record_type: RecordType) -> Route {
    let mut name = Name::from_str(name).unwrap();
    name.set_fqdn(true);
    route(&name, record_type, DOMAIN, |host| host == "api.example.org")
}

fn plugins(question: &str, zone: Zone, otherwise: Otherwise) -> Route {
    Route::Plugins { question: question.to_owned(), zone, otherwise }
}

#[test]
fn each_kind_of_name_goes_its_way() {
    use Otherwise::{Forward, NoSuchName};
    let host = || Zone::Host("api.example.org".to_owned());
    for (name, expected) in [
        ("postgres", plugins("postgres", Zone::Bare, NoSuchName)),
        ("PostGres", plugins("postgres", Zone::Bare, NoSuchName)),
        ("_http._tcp.api", plugins("_http._tcp.api", Zone::Bare, NoSuchName)),
        ("postgres.mesh.internal", plugins("postgres", Zone::Domain, NoSuchName)),
        ("_http._tcp.api.MESH.internal", plugins("_http._tcp.api", Zone::Domain, NoSuchName)),
        ("a.b.mesh.internal", plugins("a.b", Zone::Domain, NoSuchName)),
        ("1.0.64.100.in-addr.arpa", plugins("1.0.64.100.in-addr.arpa", Zone::Reverse(64), NoSuchName)),
        ("255.255.127.100.in-addr.arpa", plugins("255.255.127.100.in-addr.arpa", Zone::Reverse(127), NoSuchName)),
        ("api.example.org", plugins("api.example.org", host(), Forward)),
        ("_http._tcp.api.example.org", plugins("_http._tcp.api.example.org", host(), Forward)),
        ("mesh.internal", Route::Apex(Zone::Domain)),
        ("64.100.in-addr.arpa", Route::Apex(Zone::Reverse(64))),
        ("internal", Route::Empty(Zone::Bare)),
        ("0.64.100.in-addr.arpa", Route::Empty(Zone::Reverse(64))),
        ("256.0.64.100.in-addr.arpa", Route::Nowhere(Zone::Reverse(64))),
        ("01.0.64.100.in-addr.arpa", Route::Nowhere(Zone::Reverse(64))),
        ("5.1.0.64.100.in-addr.arpa", Route::Nowhere(Zone::Reverse(64))),
        ("1.0.64.100.in-addr.arpa.mesh.internal", Route::Nowhere(Zone::Domain)),
        ("localhost", Route::Localhost),
        ("a.localhost", Route::Localhost),
        (".", Route::Forward),
        ("www.example.org", Route::Forward),
        ("xapi.example.org", Route::Forward),
        ("postgresmesh.internal", Route::Forward),
        ("1.0.63.100.in-addr.arpa", Route::Forward),
        ("1.0.128.100.in-addr.arpa", Route::Forward),
        ("100.in-addr.arpa", Route::Forward),
        ("064.100.in-addr.arpa", Route::Forward),
    ] {
        assert_eq!(of(name, RecordType::A), expected, "{name}");
    }
}

#[test]
fn only_what_a_zone_has_is_sent_on_of_a_bare_name() {
    for record_type in [RecordType::DS, RecordType::DNSKEY, RecordType::NS, RecordType::SOA] {
        assert_eq!(of("org", record_type), plugins("org", Zone::Bare, Otherwise::Forward));
    }
    for record_type in [RecordType::A, RecordType::AAAA, RecordType::MX, RecordType::HTTPS, RecordType::Unknown(999)] {
        assert_eq!(of("org", record_type), plugins("org", Zone::Bare, Otherwise::NoSuchName));
    }
}

#[test]
fn odd_bytes_reach_no_plugin_and_no_upstream_from_names_of_ours() {
    for (label, below_domain) in [("a b", false), ("ä", false), ("x\0", false), ("a.b", true), ("*", true)] {
        let mut labels: Vec<&[u8]> = vec![label.as_bytes()];
        if below_domain {
            labels.extend([&b"mesh"[..], b"internal"]);
        }
        let name = Name::from_labels(labels).unwrap();
        let zone = if below_domain { Zone::Domain } else { Zone::Bare };
        assert_eq!(route(&name, RecordType::A, DOMAIN, |_| false), Route::Nowhere(zone), "{label:?}");
    }
}

proptest! {
    #[test]
    fn any_name_has_a_route_and_what_plugins_are_asked_is_a_name(
        labels in proptest::collection::vec(proptest::collection::vec(any::<u8>(), 1..8), 0..6),
        tail in prop_oneof![Just(""), Just("mesh.internal"), Just("64.100.in-addr.arpa"), Just("localhost")],
        record_type in any::<u16>(),
    ) {
        let tail_labels = tail.split('.').filter(|label| !label.is_empty()).map(|label| label.as_bytes().to_vec());
        let labels: Vec<Vec<u8>> = labels.into_iter().chain(tail_labels).collect();
        let count = labels.len();
        let name = Name::from_labels(labels).unwrap();
        match route(&name, RecordType::from(record_type), DOMAIN, |_| true) {
            Route::Plugins { question, zone, otherwise } => {
                let plain = |byte: u8| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'-' | b'_' | b'.');
                prop_assert!(!question.is_empty() && question.bytes().all(plain), "{question:?}");
                prop_assert!(otherwise == Otherwise::NoSuchName || tail.is_empty(), "{name}");
                prop_assert!(zone != Zone::Domain || tail == "mesh.internal", "{name}");
            }
            Route::Forward => prop_assert!(count != 1 && tail.is_empty(), "{name}"),
            _ => {}
        }
    }
}
