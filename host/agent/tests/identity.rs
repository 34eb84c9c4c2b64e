//! Commissioning and what it leaves: a server's next life has nothing of the one before.

mod common;

use std::fs;

use servos_agent::key_files::{self, Next, Rotation};
use servos_agent::limits::KEY_TRANSITION;
use servos_agent::paths::Paths;
use servos_agent::{durable_file, identity};
use servos_tunnel::PrivateKey;

use crate::common::commissioned;

/// Every file that a life can leave.
fn whole_life(paths: &Paths) {
    identity::store(paths, &commissioned("old")).expect("stored");
    let next =
        Next { key: PrivateKey::generate(), rotation: Rotation::begin(std::time::SystemTime::now(), KEY_TRANSITION) };
    key_files::begin(paths, &next).expect("files");
    for path in [
        paths.mesh_state(),
        paths.mesh_deltas(),
        paths.handshakes(),
        paths.sessions(),
        paths.sessions().with_extension("new"),
    ] {
        fs::write(path, "of the old mesh").expect("a file");
    }
    // Killed while it wrote.
    durable_file::temp(&paths.state).expect("a file").keep().expect("kept");
}

fn files(paths: &Paths) -> Vec<String> {
    let entries = fs::read_dir(&paths.state).expect("a folder");
    let mut names: Vec<_> =
        entries.map(|entry| entry.expect("an entry").file_name().into_string().expect("text")).collect();
    names.sort();
    names
}

#[test]
fn a_decommissioning_that_was_cut_off_leaves_nothing_to_the_next_life() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = common::paths(&folder);
    whole_life(&paths);
    // Cut off after the first file.
    fs::remove_file(paths.identity()).expect("removed");
    let new = commissioned("new");

    identity::store(&paths, &new).expect("stored");

    assert_eq!(files(&paths), ["credential", "identity.json", "private-key"]);
    let loaded = identity::load(&paths).expect("an identity");
    assert_eq!(loaded.identity, new.identity);
    assert_eq!(loaded.private_key.public_key(), new.private_key.public_key());
}

#[test]
fn what_is_forgotten_is_all_of_it() {
    let folder = tempfile::tempdir().expect("a folder");
    let paths = common::paths(&folder);
    whole_life(&paths);
    fs::write(paths.state.join("of-somebody-else"), "").expect("a file");

    identity::forget(&paths).expect("forgotten");
    identity::forget(&paths).expect("forgotten twice");

    assert_eq!(files(&paths), ["of-somebody-else"]);
}
