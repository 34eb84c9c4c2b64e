//! The bytes of a `MeshDelta`: golden ones, hostile ones, and the same layout by `wincode`.
//!
//! `UPDATE_GOLDEN=1 cargo test -p servos-mesh --test delta_wire` writes the golden file anew: only together with a new
//! format number.

#![cfg(test)]

mod common;

use std::path::Path;
use std::sync::{Arc, LazyLock};

use common::history::any_history;
use common::{address, every_byte_may_be_anything, example, label};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use servos_mesh::{DELTA_FORMAT, FORMAT, MeshDelta, MeshState, PeerTable, WireError, limits};
use wincode::{SchemaRead, SchemaWrite};

const BODY: &str = "tests/golden/mesh-delta-1.bin";

/// Of the example: one server gone, one changed, one added; and a service gone, one changed.
fn example_delta() -> MeshDelta {
    let before = example();
    let mut after = before.clone();
    after.revision.0 += 5;
    after.peers.remove(1);
    after.peers[0].endpoint = Some("[2001:db8::1]:51821".parse().unwrap());
    after.peers.insert(1, common::example().peers[1].clone());
    after.peers[1].address = address(3);
    after.peers[1].name = label("db-2");
    after.services.pop();
    after.services[0].1[1].2 = 5;
    MeshDelta::between(&before.build().unwrap(), &after.build().unwrap()).unwrap().unwrap()
}

#[test]
fn encodes_to_the_golden_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(BODY);
    let body = example_delta().body().clone();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &body).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    assert!(body == golden, "{BODY} differs from what this program writes: raise DELTA_FORMAT, or undo the change");
    assert_eq!(golden[..4], DELTA_FORMAT.to_le_bytes());
}

#[test]
fn reads_the_golden_bytes() {
    let golden = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(BODY)).unwrap();
    let mesh = example();

    let delta = MeshDelta::parse(golden.into()).unwrap();

    assert_eq!(delta.mesh(), mesh.id);
    assert_eq!((delta.base(), delta.revision().0), (mesh.revision, mesh.revision.0 + 5));
    assert_eq!(delta.removed().collect::<Vec<_>>(), [address(2)]);
    let peers: Vec<_> = delta.peers().iter().map(|peer| (peer.address(), delta.name_of(peer))).collect();
    assert_eq!(peers, [(address(1), "web-1"), (address(3), "db-2")]);
    assert_eq!(delta.peers()[0].endpoint().unwrap().to_string(), "[2001:db8::1]:51821");
    assert_eq!(delta.removed_services().collect::<Vec<_>>(), ["postgres"]);
    let services = delta.services();
    assert_eq!((services.len(), services[0].name.as_str()), (1, "api"));
    let servers: Vec<_> = services[0].instances.iter().map(|instance| instance.server()).collect();
    assert_eq!(servers, [address(1), address(1), address(0x3f_fffe)], "by address: not all peers are here");
}

/// Each field where the documentation says that it stands.
#[test]
fn the_layout_is_as_documented() {
    let delta = example_delta();
    let body = delta.body();
    let number = |at: usize| u64::from_le_bytes(body[at..at + 8].try_into().unwrap());
    assert_eq!(body[4..20], delta.mesh());
    assert_eq!((number(20), number(28)), (delta.base().0, delta.revision().0));
    assert_eq!((number(36), &body[44..48]), (4, &2_u32.to_le_bytes()[..]), "one address");
    assert_eq!(number(48), 128, "two records");
    assert_eq!(body[56..88], [1; 32], "the first one's key");
    assert_eq!(number(184), 11, "two names");
    assert_eq!(&body[192..203], b"\x05web-1\x04db-2");
    assert_eq!((number(203), &body[211..220]), (9, &b"\x08postgres"[..]), "one service gone");
    assert_eq!(body[220..224], 1_u32.to_le_bytes(), "one changed");
    assert_eq!(number(224) as usize, body.len() - 232);
}

#[derive(Debug, PartialEq, SchemaRead, SchemaWrite)]
struct Delta {
    format: u32,
    mesh: [u8; 16],
    base: u64,
    revision: u64,
    removed: Vec<u8>,
    peers: Vec<u8>,
    names: Vec<u8>,
    removed_services: Vec<u8>,
    service_count: u32,
    services: Vec<u8>,
}

proptest! {
    #[test]
    fn wincode_reads_and_writes_the_same(history in any_history()) {
        for delta in deltas(&history.states.iter().map(|state| state.build()).collect::<Vec<_>>()) {
            let theirs: Delta = wincode::deserialize_exact(delta.body()).unwrap();

            prop_assert_eq!((theirs.format, theirs.mesh), (DELTA_FORMAT, delta.mesh()));
            prop_assert_eq!((theirs.base, theirs.revision), (delta.base().0, delta.revision().0));
            let removed: Vec<u8> = delta.removed().flat_map(|address| address.index().to_le_bytes()).collect();
            prop_assert_eq!(&theirs.removed, &removed);
            prop_assert_eq!(theirs.peers.len(), delta.peers().len() * 64);
            let section = |name: &str| [&[name.len() as u8], name.as_bytes()].concat();
            let names: Vec<u8> = delta.peers().iter().flat_map(|peer| section(delta.name_of(peer))).collect();
            prop_assert_eq!(&theirs.names, &names);
            let removed_services: Vec<u8> = delta.removed_services().flat_map(section).collect();
            prop_assert_eq!(&theirs.removed_services, &removed_services);
            prop_assert_eq!(theirs.service_count as usize, delta.services().len());
            prop_assert_eq!(&wincode::serialize(&theirs).unwrap()[..], &delta.body()[..]);
        }
    }

    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..600)) {
        use_if_it_parses(&bytes);
        use_if_it_parses(&[&DELTA_FORMAT.to_le_bytes()[..], &bytes].concat());
    }

    #[test]
    fn any_delta_with_some_bytes_changed(
        history in any_history(),
        changes in vec((any::<Index>(), any::<u8>()), 1..5),
    ) {
        for delta in deltas(&history.states.iter().map(|state| state.build()).collect::<Vec<_>>()) {
            let mut body = delta.body().to_vec();
            for (at, value) in &changes {
                let at = at.index(body.len());
                body[at] = *value;
            }
            use_if_it_parses(&body);
        }
    }
}

#[test]
fn every_truncation_is_refused() {
    let body = example_delta().body().clone();
    for length in 0..body.len() {
        assert!(MeshDelta::parse(body.slice(..length)).is_err(), "the first {length} of {} bytes parsed", body.len());
    }
}

#[test]
fn every_value_of_every_byte_is_survived() {
    every_byte_may_be_anything(example_delta().body(), use_if_it_parses);
}

#[test]
fn a_state_is_no_delta_and_a_delta_no_state() {
    let (state, delta) = (example().build().unwrap(), example_delta());
    let error = MeshDelta::parse(state.body().clone()).unwrap_err();
    assert!(matches!(error, WireError::Format { found: FORMAT, expected: DELTA_FORMAT }), "{error}");
    let error = MeshState::parse(delta.body().clone()).unwrap_err();
    assert!(matches!(error, WireError::Format { found: DELTA_FORMAT, expected: FORMAT }), "{error}");
    let long = MeshDelta::parse(vec![0; limits::MAX_DELTA_BYTES + 1].into());
    assert!(matches!(long, Err(WireError::TooLong { .. })));
    let mut behind = delta.body().to_vec();
    behind.push(0);
    assert!(matches!(MeshDelta::parse(behind.into()), Err(WireError::Trailing(1))));
}

/// Each row: which bytes are overwritten, and what the error says.
#[test]
fn what_makes_no_sense_is_refused_with_its_place() {
    let word = |number: u32| number.to_le_bytes().to_vec();
    let rows: [(usize, Vec<u8>, &str); 10] = [
        (28, example().revision.0.to_le_bytes().to_vec(), "revision: "),
        (44, word(0), "removed 0: has the reserved address 100.64.0.0"),
        (44, word(1 << 22), "removed 0: address index 4194304"),
        (44, word(3), "removed 0: 100.64.0.3 is among the peers too"),
        (56 + 52, word(3), "peer 1: is not sorted by address"),
        (56 + 64 + 56, word(99), "peer 1: has no name"),
        (192, vec![200], "peer 0: has no name"),
        (211, vec![200], "removed service 0: has no name"),
        (212, vec![b'P'], "removed service 0: has no name"),
        (211, vec![7], "removed service 1: has no name"),
    ];
    for (at, bytes, words) in rows {
        let mut body = example_delta().body().to_vec();
        body[at..at + bytes.len()].copy_from_slice(&bytes);
        let error = MeshDelta::parse(body.into()).unwrap_err().to_string();
        assert!(error.contains(words), "{error} does not say {words:?}");
    }
}

#[test]
fn removed_services_are_sorted_and_none_of_the_others() {
    let mut before = example();
    before.services = ["aaa", "bbb", "ccc"]
        .map(|name| (before.services[1].0.clone(), name))
        .map(|(service, name)| (servos_mesh::Service { name: label(name), ..service }, Vec::new()))
        .to_vec();
    let mut after = before.clone();
    after.revision.0 += 1;
    after.services.drain(..2);
    after.services[0].0.port = 1;
    let delta = MeshDelta::between(&before.build().unwrap(), &after.build().unwrap()).unwrap().unwrap();
    assert_eq!(delta.removed_services().collect::<Vec<_>>(), ["aaa", "bbb"]);
    for (name, other, words) in [
        ("aaa", "ddd", "removed service 1: is not sorted by name"),
        ("aaa", "bbb", "removed service 1: is not sorted by name, or not unique"),
        ("bbb", "ccc", "removed service 1: ccc is among the services too"),
    ] {
        let mut body = delta.body().to_vec();
        let at = body.windows(3).position(|window| window == name.as_bytes()).unwrap();
        body[at..at + 3].copy_from_slice(other.as_bytes());
        let error = MeshDelta::parse(body.into()).unwrap_err().to_string();
        assert!(error.contains(words), "{error} does not say {words:?}");
    }
}

fn deltas(states: &[MeshState]) -> Vec<MeshDelta> {
    states.windows(2).map(|pair| MeshDelta::between(&pair[0], &pair[1]).unwrap().unwrap()).collect()
}

/// Calls everything there is to call; returns whether the bytes parsed.
fn use_if_it_parses(bytes: &[u8]) -> bool {
    let Ok(delta) = MeshDelta::parse(bytes.to_vec().into()) else {
        return false;
    };
    let names: Vec<_> = delta.peers().iter().map(|peer| delta.name_of(peer)).collect();
    assert!(names.iter().all(|name| servos_mesh::DnsLabel::is_valid(name)));
    // Making indices takes longer than all the rest.
    static TABLE: LazyLock<PeerTable> = LazyLock::new(|| PeerTable::new(Arc::new(example().build().unwrap()), None));
    if let Ok(next) = TABLE.apply(&delta) {
        assert_eq!(next.peers().count(), next.len());
        assert!(delta.removed().all(|address| next.server_by_address(address).is_none()));
        assert!(delta.removed_services().all(|name| next.service(name).is_none()));
        assert!(delta.services().iter().all(|service| next.service(service.name.as_str()) == Some(service)));
        for service in next.services() {
            assert!(service.instances.iter().all(|i| next.server_by_address(i.server()).is_some()));
        }
    }
    MeshDelta::compose([&delta]).unwrap().unwrap();
    true
}
