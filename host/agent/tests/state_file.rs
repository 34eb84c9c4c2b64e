//! The kept state: whole, or refused without a panic, wherever it was cut.

use servos_agent::state_file::{StateFileError, load, store};
use servos_mesh::{MeshState, MeshStateBuilder, PeerEntry, PublicKey, Revision};

fn state() -> MeshState {
    let mut mesh = MeshStateBuilder::new([1; 16], "acme", "mesh.internal".parse().expect("a domain"), Revision(7));
    for number in 1..=3_u8 {
        mesh.peer(PeerEntry {
            public_key: PublicKey::from_bytes([number; 32]).expect("a key"),
            key_generation: servos_mesh::KeyGeneration::FIRST,
            endpoint: None,
            address: format!("100.64.0.{number}").parse().expect("an address"),
            name: format!("s{number}").parse().expect("a name"),
            since: Revision(1),
        });
    }
    mesh.build().expect("a state")
}

#[test]
fn what_is_kept_comes_back() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mesh-state.bin");
    assert!(load(&path).expect("no file is no error").is_none());
    store(&path, &state()).expect("kept");
    let back = load(&path).expect("readable").expect("there");
    assert_eq!(back.state().body(), state().body());
    back.release_names();
    let names = back.state().peers().iter().map(|record| back.state().name_of(record));
    assert_eq!(names.collect::<Vec<_>>(), ["s1", "s2", "s3"], "read from the file again");
    assert_eq!(std::fs::read_dir(folder.path()).expect("the folder").count(), 1, "a temp file is left behind");
}

#[test]
fn a_file_cut_at_any_byte_is_refused_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("mesh-state.bin");
    let body = state().body().clone();
    for length in 0..body.len() {
        std::fs::write(&path, &body[..length]).expect("written");
        let error = load(&path).expect_err("a cut file was taken for whole");
        assert!(matches!(error, StateFileError::Parse { .. }), "{length} bytes: {error}");
        assert!(error.to_string().contains("mesh-state.bin"), "{error}");
    }
}

#[test]
fn a_file_that_cannot_be_written_leaves_the_old_one() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("missing/mesh-state.bin");
    let error = store(&path, &state()).expect_err("there is no such folder");
    assert!(matches!(error, StateFileError::Write { .. }), "{error}");
}
