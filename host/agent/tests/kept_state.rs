//! The kept state: a whole one and deltas, the newest after every crash that can be, never a mixture.

use std::sync::Arc;

use servos_agent::kept_state::KeptState;
use servos_agent::paths::Paths;
use servos_agent::state_file;
use servos_mesh::{
    KeyGeneration, MeshAddress, MeshDelta, MeshState, MeshStateBuilder, Own, PeerEntry, PeerTable, PublicKey, Revision,
};
use tempfile::TempDir;

fn address(number: u8) -> MeshAddress {
    MeshAddress::from_index(number.into()).expect("an address")
}

fn own() -> Own {
    Own { address: address(1), public_key: PublicKey::from_bytes([1; 32]).expect("a key") }
}

/// As many servers as the revision says, and five.
fn state(revision: u8) -> Arc<MeshState> {
    state_of(revision, revision + 5)
}

fn state_of(revision: u8, servers: u8) -> Arc<MeshState> {
    let domain = "mesh.internal".parse().expect("a domain");
    let mut mesh = MeshStateBuilder::new([1; 16], "acme", domain, Revision(revision.into()));
    for number in 1..=servers {
        mesh.peer(PeerEntry {
            public_key: PublicKey::from_bytes([number; 32]).expect("a key"),
            endpoint: None,
            address: address(number),
            name: format!("s{number}").parse().expect("a name"),
            key_generation: KeyGeneration::FIRST,
            since: Revision(1),
        });
    }
    Arc::new(mesh.build().expect("a state"))
}

fn delta(from: u8, to: u8) -> Arc<MeshDelta> {
    Arc::new(MeshDelta::between(&state(from), &state(to)).expect("sound").expect("sayable"))
}

struct Disk {
    folder: TempDir,
    paths: Paths,
}

impl Disk {
    fn new() -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let paths = Paths { state: folder.path().to_owned(), ..Paths::default() };
        Self { folder, paths }
    }

    /// Whole state 1, and deltas to `last`.
    fn with_deltas(last: u8) -> (Self, KeptState) {
        let disk = Self::new();
        let mut kept = KeptState::new(&disk.paths);
        kept.keep_whole(state(1), false).expect("kept");
        (1..last).for_each(|from| kept.keep_delta(delta(from, from + 1)).expect("kept"));
        (disk, kept)
    }

    fn load(&self) -> (PeerTable, KeptState) {
        KeptState::load(&self.paths, own()).expect("readable").expect("there")
    }

    /// What a restart begins with.
    fn revision(&self) -> u64 {
        let (table, _) = self.load();
        let revision = table.revision().0 as u8;
        assert_eq!(
            table.compact(table.made_for()).expect("sound").base().body(),
            state(revision).body(),
            "exactly that revision"
        );
        revision.into()
    }

    fn deltas(&self) -> Vec<u8> {
        std::fs::read(self.paths.mesh_deltas()).unwrap_or_default()
    }
}

#[test]
fn a_restart_begins_with_the_newest() {
    let (disk, _) = Disk::with_deltas(5);
    assert_eq!(disk.revision(), 5);
    let (_, mut kept) = disk.load();
    kept.keep_delta(delta(5, 6)).expect("kept");
    assert_eq!(disk.revision(), 6, "what was read goes on");
    kept.keep_whole(state(7), false).expect("kept");
    assert_eq!(disk.revision(), 7);
    assert!(!disk.paths.mesh_deltas().exists(), "nothing leads on from the whole yet");
    assert_eq!(std::fs::read_dir(disk.folder.path()).expect("the folder").count(), 1, "something is left behind");
}

#[test]
fn deltas_cut_at_any_byte_count_as_far_as_they_are_whole() {
    let (disk, _) = Disk::with_deltas(4);
    let bytes = disk.deltas();
    let mut reached = Vec::new();
    for length in 0..=bytes.len() {
        std::fs::write(disk.paths.mesh_deltas(), &bytes[..length]).expect("written");
        reached.push(disk.revision());
        // And the next one is written over the torn end.
        let (table, mut kept) = disk.load();
        let from = table.revision().0 as u8;
        kept.keep_delta(delta(from, from + 1)).expect("kept");
        assert_eq!(disk.revision(), u64::from(from) + 1, "cut at {length}");
    }
    assert!(reached.is_sorted());
    reached.dedup();
    assert_eq!(reached, [1, 2, 3, 4]);
}

#[test]
fn a_flipped_bit_ends_what_counts() {
    let (disk, _) = Disk::with_deltas(3);
    let bytes = disk.deltas();
    for at in 0..bytes.len() {
        let mut changed = bytes.clone();
        changed[at] ^= 0x10;
        std::fs::write(disk.paths.mesh_deltas(), &changed).expect("written");
        let expected = if at < bytes.len() / 2 { 1 } else { 2 };
        assert_eq!(disk.revision(), expected, "byte {at}");
    }
}

/// The whole is in its place, and the deltas that led to it are still there.
#[test]
fn a_crash_between_the_two_files_is_harmless() {
    for whole in [4, 5, 9] {
        let (disk, _) = Disk::with_deltas(5);
        state_file::store(&disk.paths.mesh_state(), &state(whole)).expect("stored");
        let expected = u64::from(whole);
        assert_eq!(disk.revision(), expected, "whole {whole}");
        let (_, mut kept) = disk.load();
        kept.keep_delta(delta(whole, whole + 1)).expect("kept");
        assert_eq!(disk.revision(), expected + 1, "stale deltas are written over");
    }
}

/// Restored from a backup, the control plane may use a number again: deltas of the other past must not be there when
/// its whole is.
#[test]
fn deltas_of_another_past_go_before_the_whole_comes() {
    let (disk, mut kept) = Disk::with_deltas(5);
    // The whole cannot be written: a folder is in its place.
    std::fs::remove_file(disk.paths.mesh_state()).expect("removed");
    std::fs::create_dir(disk.paths.mesh_state()).expect("a folder");
    kept.keep_whole(state_of(1, 90), true).expect_err("nothing can be written there");
    assert!(disk.deltas().is_empty());
    // With the next change it is tried again.
    std::fs::remove_dir(disk.paths.mesh_state()).expect("removed");
    let next = MeshDelta::between(&state_of(1, 90), &state(2)).expect("sound").expect("sayable");
    kept.keep_delta(Arc::new(next)).expect("kept");
    assert_eq!(disk.revision(), 2);
}

#[test]
fn what_could_not_be_written_comes_with_the_next() {
    let (disk, mut kept) = Disk::with_deltas(2);
    let aside = disk.folder.path().join("aside");
    std::fs::rename(disk.paths.mesh_deltas(), &aside).expect("moved");
    std::fs::create_dir(disk.paths.mesh_deltas()).expect("a folder");
    let error = kept.keep_delta(delta(2, 3)).expect_err("nothing can be written there");
    assert!(error.to_string().contains("mesh-state.deltas"), "{error}");
    std::fs::remove_dir(disk.paths.mesh_deltas()).expect("removed");
    std::fs::rename(&aside, disk.paths.mesh_deltas()).expect("moved back");
    kept.keep_delta(delta(3, 4)).expect("kept");
    assert_eq!(disk.revision(), 4);
}

#[test]
fn many_deltas_want_a_whole() {
    let disk = Disk::new();
    let mut kept = KeptState::new(&disk.paths);
    kept.keep_whole(state(1), false).expect("kept");
    let mut count = 0;
    for _ in 0..2_000 {
        if kept.is_long() {
            break;
        }
        // The same again and again: the file does not know.
        kept.keep_delta(delta(1, 2)).expect("kept");
        count += 1;
    }
    assert!(kept.is_long() && count > 100, "{count}");
    kept.keep_whole(state(2), false).expect("kept");
    assert!(!kept.is_long());
}
