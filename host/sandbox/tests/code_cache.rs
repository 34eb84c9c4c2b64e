//! Compiled code on disk: used again, never trusted blindly.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};

use common::guest::Naming;
use common::{host, mesh, question};
use servos_hostile_guests::answers::a_records;
use servos_sandbox::naming::{Outcome, RecordType};

/// Runs a plugin with the cache in `root`.
fn run(root: &Path) {
    let host = host(root, vec![("test", Naming::answering(a_records(1, &[[100, 64, 0, 1]])))]);
    let outcome = host.resolve(&mesh::snapshot(), &question("api", RecordType::A));
    assert!(matches!(outcome, Outcome::Answers(_)), "{outcome:?}");
}

/// The only file of the cache.
fn cached(root: &Path) -> PathBuf {
    let mut files: Vec<_> = fs::read_dir(root.join("cache")).unwrap().map(|entry| entry.unwrap().path()).collect();
    assert_eq!(files.len(), 1, "{files:?}");
    files.remove(0)
}

#[test]
fn the_second_start_uses_what_the_first_compiled() {
    let root = tempfile::tempdir().unwrap();
    run(root.path());
    assert_eq!(fs::metadata(root.path().join("cache")).unwrap().mode() & 0o777, 0o700);
    let file = cached(root.path());
    assert_eq!(fs::metadata(&file).unwrap().mode() & 0o777, 0o600);
    // A file that is written again is another file.
    let first = fs::metadata(&file).unwrap().ino();
    run(root.path());
    assert_eq!(fs::metadata(cached(root.path())).unwrap().ino(), first);
}

#[test]
fn a_damaged_file_is_compiled_again() {
    let root = tempfile::tempdir().unwrap();
    run(root.path());
    let file = cached(root.path());
    let whole = fs::read(&file).unwrap();
    let mut flipped = whole.clone();
    let middle = flipped.len() / 2;
    flipped[middle] ^= 1;
    for damaged in [&whole[..whole.len() / 2], &whole[..10], b"".as_slice(), &flipped] {
        fs::write(&file, damaged).unwrap();
        run(root.path());
        assert_eq!(fs::read(cached(root.path())).unwrap(), whole);
    }
}

#[test]
fn a_file_that_others_could_have_written_is_compiled_again() {
    let root = tempfile::tempdir().unwrap();
    run(root.path());
    let file = cached(root.path());
    fs::set_permissions(&file, fs::Permissions::from_mode(0o666)).unwrap();
    run(root.path());
    assert_eq!(fs::metadata(cached(root.path())).unwrap().mode() & 0o777, 0o600);
}

#[test]
fn a_folder_that_others_can_enter_is_left_alone() {
    let root = tempfile::tempdir().unwrap();
    let cache = root.path().join("cache");
    fs::create_dir(&cache).unwrap();
    fs::set_permissions(&cache, fs::Permissions::from_mode(0o755)).unwrap();
    run(root.path());
    assert_eq!(fs::read_dir(&cache).unwrap().count(), 0);
}
