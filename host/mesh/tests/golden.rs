//! Bytes that cross versions and machines: the body of one fixed state, and one enrolment token.
//!
//! `UPDATE_GOLDEN=1 cargo test -p servos-mesh --test golden` writes the file anew: only together with a new format
//! number, because agents and control planes of both ages meet.

mod common;

use std::path::Path;

use common::{example, with_instances};
use servos_mesh::{EnrolmentToken, FORMAT, MeshState};

const BODY: &str = "tests/golden/mesh-state-1.bin";

#[test]
fn encodes_to_the_golden_bytes() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join(BODY);
    let body = example().build().unwrap().body().clone();
    if std::env::var_os("UPDATE_GOLDEN").is_some() {
        std::fs::write(&path, &body).unwrap();
    }
    let golden = std::fs::read(&path).unwrap();
    assert!(body == golden, "{BODY} differs from what this program writes: raise FORMAT, or undo the change");
    assert_eq!(golden[..4], FORMAT.to_le_bytes());
}

#[test]
fn reads_the_golden_bytes() {
    let golden = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(BODY)).unwrap();
    let mesh = example();

    let state = MeshState::parse(golden.into()).unwrap();

    assert_eq!(state.mesh(), mesh.id);
    assert_eq!(state.organisation(), "Example & Söhne");
    assert_eq!(state.domain().as_str(), "mesh.internal");
    assert_eq!(state.revision(), mesh.revision);
    let names: Vec<_> = state.peers().iter().map(|peer| state.name_of(peer)).collect();
    assert_eq!(names, ["web-1", "db", "last"]);
    let endpoints: Vec<_> = state.peers().iter().map(|peer| peer.endpoint().map(|e| e.to_string())).collect();
    assert_eq!(endpoints, [Some("192.0.2.1:51820".into()), Some("[2001:db8::2]:443".into()), None]);
    assert_eq!(state.peers()[1].since(), 8, "the low 32 bits");
    let expected: Vec<_> = mesh.services.iter().map(|(s, places)| with_instances(s, places)).collect();
    assert_eq!(state.services(), expected);
}

/// What later versions put into the other bits of the flags does not reach the generation.
#[test]
fn the_generation_of_the_key_is_the_low_byte_of_the_flags() {
    let mut body = std::fs::read(Path::new(env!("CARGO_MANIFEST_DIR")).join(BODY)).unwrap();
    let record = body.windows(32).position(|window| window == [1; 32]).unwrap();
    body[record + 50..record + 52].copy_from_slice(&[7, 0xff]);
    let state = MeshState::parse(body.into()).unwrap();
    let generations: Vec<_> = state.peers().iter().map(|peer| peer.key_generation().number()).collect();
    assert_eq!(generations, [7, 0, 0]);
}

/// The 64 bytes of a record, field by field, as the design writes them down.
#[test]
fn a_peer_is_64_bytes_in_this_order() {
    let mut record = vec![1; 32];
    record.extend([0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff, 192, 0, 2, 1]);
    record.extend(51820_u16.to_le_bytes());
    record.extend([0, 0]);
    record.extend(1_u32.to_le_bytes());
    record.extend(0_u32.to_le_bytes());
    record.extend(7_u32.to_le_bytes());
    assert_eq!(record.len(), 64);

    let body = example().build().unwrap().body().clone();

    let found = body.windows(64).filter(|window| *window == record).count();
    assert_eq!(found, 1);
}

#[test]
fn an_enrolment_token_keeps_its_text() {
    const TEXT: &str = include_str!("golden/enrolment-token-1.txt");
    let token = EnrolmentToken::new("https://mesh.example.org:8443", Some([0xab; 32]), [0xcd; 32]);

    assert_eq!(*token.to_text(), TEXT.trim());
    assert_eq!(TEXT.parse(), Ok(token));
}
