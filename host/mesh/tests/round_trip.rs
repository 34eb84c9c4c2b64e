//! What is built is read back, field by field, and what the writer must refuse it refuses.

mod common;

use std::time::Duration;

use common::{address, any_mesh, example, label, with_instances};
use proptest::prelude::*;
use servos_mesh::{HealthCheck, MeshAddress, MeshState, PublicKey, WireError};

proptest! {
    #[test]
    fn a_built_state_is_read_back(mesh in any_mesh()) {
        let built = mesh.build().unwrap();

        let state = MeshState::parse(built.body().clone()).unwrap();

        prop_assert_eq!(state.mesh(), mesh.id);
        prop_assert_eq!(state.organisation(), &mesh.organisation);
        prop_assert_eq!(state.domain(), &mesh.domain);
        prop_assert_eq!(state.revision(), mesh.revision);
        prop_assert_eq!(state.peers().len(), mesh.peers.len());
        for (record, entry) in state.peers().iter().zip(&mesh.peers) {
            prop_assert_eq!(record.public_key(), &entry.public_key);
            prop_assert_eq!(record.key_generation(), entry.key_generation);
            prop_assert_eq!(record.address(), entry.address);
            prop_assert_eq!(state.name_of(record), entry.name.as_str());
            prop_assert_eq!(record.since(), entry.since.0 as u32);
            // Where nobody can be reached there is no endpoint; a mapped address is the IPv4 that it maps.
            let reachable = entry.endpoint.filter(|at| !at.ip().to_canonical().is_unspecified() && at.port() != 0);
            prop_assert_eq!(
                record.endpoint().map(|at| (at.ip(), at.port())),
                reachable.map(|at| (at.ip().to_canonical(), at.port()))
            );
        }
        let expected: Vec<_> = mesh.services.iter().map(|(s, places)| with_instances(s, places)).collect();
        prop_assert_eq!(state.services(), &expected[..]);
        for service in state.services() {
            service.check().unwrap();
            for instance in &service.instances {
                prop_assert!(state.peers().iter().any(|server| server.address() == instance.server()));
            }
        }
    }

    #[test]
    fn the_order_of_adding_does_not_matter(mut mesh in any_mesh()) {
        let sorted = mesh.build().unwrap();
        mesh.peers.reverse();
        mesh.services.reverse();
        mesh.services.iter_mut().for_each(|(_, places)| places.reverse());

        let shuffled = mesh.build().unwrap();
        prop_assert_eq!(shuffled.body(), sorted.body());
    }
}

#[test]
fn the_empty_mesh_is_a_mesh() {
    let mut mesh = example();
    mesh.peers.clear();
    mesh.services.clear();

    let state = mesh.build().unwrap();

    assert!(state.peers().is_empty() && state.services().is_empty());
}

#[test]
fn an_instance_on_a_server_that_left_is_left_out() {
    let mut mesh = example();
    mesh.peers.remove(0);

    let state = mesh.build().unwrap();

    let servers: Vec<_> = state.services()[0].instances.iter().map(|i| i.server()).collect();
    assert_eq!(servers, [address(0x3f_fffe)]);
}

/// Each row: what is wrong, how it is made wrong, and what the error says.
#[test]
fn the_writer_refuses_what_a_reader_would() {
    type Spoil = fn(&mut common::Mesh);
    let check = |interval, timeout, path: &str| {
        Some(HealthCheck {
            path: Some(path.to_owned()),
            interval: Duration::from_millis(interval),
            timeout: Duration::from_micros(timeout),
        })
    };
    let rows: [(&str, Spoil); 14] = [
        ("not unique", |mesh| mesh.peers[1].address = mesh.peers[0].address),
        ("reserved address 100.64.0.0", |mesh| mesh.peers[0].address = MeshAddress::FIRST),
        ("reserved address 100.127.255.255", |mesh| mesh.peers[0].address = MeshAddress::LAST),
        ("not unique", |mesh| mesh.services[1].0.name = label("api")),
        ("port 0", |mesh| mesh.services[0].0.port = 0),
        ("more than 64 hosts", |mesh| mesh.services[0].0.hosts = vec!["a".parse().unwrap(); 65]),
        ("more than 64 labels", |mesh| mesh.services[0].0.labels = vec![("a".into(), "b".into()); 65]),
        ("a label without key", |mesh| mesh.services[0].0.labels[0].0.clear()),
        ("control characters", |mesh| mesh.services[0].0.labels[0].1 = "\u{1b}[2J".into()),
        ("organisation", |mesh| mesh.organisation = "a\nb".into()),
        ("organisation", |mesh| mesh.organisation.clear()),
        ("port 0", |mesh| mesh.services[0].1[0].1 = 0),
        ("weight over 1000", |mesh| mesh.services[0].1[0].2 = 1001),
        ("not unique", |mesh| {
            let twice = mesh.services[0].1[0];
            mesh.services[0].1.push(twice);
        }),
    ];
    for (message, spoil) in rows {
        let mut mesh = example();
        spoil(&mut mesh);
        assert_refused(mesh, message);
    }
    for (message, health_check) in [
        ("interval outside 100 ms to 1 h", check(99, 1_000, "/")),
        ("interval outside 100 ms to 1 h", check(3_600_001, 1_000, "/")),
        ("timeout outside 1 ms to 60 s", check(100, 999, "/")),
        ("timeout outside 1 ms to 60 s", check(100, 60_000_001, "/")),
        ("path must start with '/'", check(100, 1_000, "healthz")),
        ("path must start with '/'", check(100, 1_000, "/a b")),
    ] {
        let mut mesh = example();
        mesh.services[0].0.health_check = health_check;
        assert!(mesh.services[0].0.check().is_err(), "the control plane is told before it stores this");
        assert_refused(mesh, message);
    }
}

#[test]
fn two_servers_with_one_key_are_two_records() {
    let mut mesh = example();
    mesh.peers[1].public_key = PublicKey::from_bytes([1; 32]).unwrap();

    assert_eq!(mesh.build().unwrap().peers().len(), 3, "which of them is a peer, the table decides");
}

fn assert_refused(mesh: common::Mesh, message: &str) {
    let error = mesh.build().expect_err(message);
    assert!(matches!(error, WireError::Invalid { .. }), "{error:?}");
    assert!(error.to_string().contains(message), "{error} does not say {message:?}");
}
