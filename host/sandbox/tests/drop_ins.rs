//! The plugin folder: files come, change and go under a running host, and a bad one changes nothing but the status.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use common::guest::{CANNED, Naming};
use common::{host, mesh, question, status, wait_for};
use servos_hostile_guests::answers::a_records;
use servos_sandbox::naming::{Outcome, Rdata, RecordType};
use servos_sandbox::{Origin, PluginHost, State};

/// A plugin that says that every name is that server.
fn says(server: u8) -> Vec<u8> {
    Naming::answering(a_records(1, &[[100, 64, 0, server]]))
}

/// The last byte of the address that a name has.
fn answer(host: &PluginHost) -> Option<u8> {
    match host.resolve(&mesh::snapshot(), &question("canary", RecordType::A)) {
        Outcome::Answers(answers) => match answers[0].rdata {
            Rdata::A(address) => Some(address.octets()[3]),
            _ => None,
        },
        _ => None,
    }
}

fn folder(root: &Path) -> PathBuf {
    let folder = root.join("plugins.d");
    fs::create_dir_all(&folder).unwrap();
    folder
}

#[test]
fn files_come_change_and_go() {
    let root = tempfile::tempdir().unwrap();
    let host = host(root.path(), vec![("bundled", says(1))]);
    let _watch = host.watch_folder().unwrap();
    let mut changes = host.changes();
    assert_eq!(answer(&host), Some(1));

    // The folder itself is made under the watch.
    let folder = folder(root.path());
    fs::write(folder.join("20-later.wasm"), says(2)).unwrap();
    wait_for("the new plugin", || answer(&host) == Some(2));
    assert!(changes.has_changed().unwrap());
    changes.mark_unchanged();
    let later = status(&host, "20-later").unwrap();
    assert_eq!((later.origin, later.state), (Origin::File(folder.join("20-later.wasm")), State::Running));

    // A lower number goes first.
    fs::write(folder.join("10-first.wasm"), says(3)).unwrap();
    wait_for("the plugin before it", || answer(&host) == Some(3));
    assert_eq!(
        host.status().iter().map(|plugin| plugin.name.as_str()).collect::<Vec<_>>(),
        ["10-first", "20-later", "bundled"]
    );

    fs::write(folder.join("10-first.wasm"), says(2)).unwrap();
    wait_for("the changed plugin", || answer(&host) == Some(2));
    fs::remove_dir_all(&folder).unwrap();
    wait_for("the bundle", || answer(&host) == Some(1));
    assert_eq!(host.status().len(), 1);

    // Made again, in place of the one that was watched.
    fs::create_dir(&folder).unwrap();
    fs::write(folder.join("20-later.wasm"), says(2)).unwrap();
    wait_for("the plugin in the new folder", || answer(&host) == Some(2));
}

#[test]
fn what_is_there_at_the_start_is_loaded_without_a_watch() {
    let root = tempfile::tempdir().unwrap();
    fs::write(folder(root.path()).join("10-canary.wasm"), says(2)).unwrap();
    assert_eq!(answer(&host(root.path(), vec![("bundled", says(1))])), Some(2));
}

#[test]
fn a_broken_file_changes_nothing_but_the_status() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let path = folder.join("10-canary.wasm");
    fs::write(&path, says(2)).unwrap();
    let host = host(root.path(), Vec::new());
    let changes = host.changes();

    fs::write(folder.join("20-broken.wasm"), "this is no WebAssembly").unwrap();
    fs::write(&path, &says(3)[..100]).unwrap();
    host.rescan();
    assert_eq!(answer(&host), Some(2), "what ran before goes on");
    assert!(!changes.has_changed().unwrap());
    let broken = status(&host, "20-broken").unwrap();
    assert_eq!(broken.state, State::Refused("is no WebAssembly".into()));
    assert_eq!(broken.problem().unwrap(), "refused: is no WebAssembly");
    let canary = status(&host, "10-canary").unwrap();
    assert_eq!(canary.state, State::Running);
    assert!(canary.problem().unwrap().contains("does not compile"), "{:?}", canary.problem());

    // Whole, it takes over.
    fs::write(&path, says(3)).unwrap();
    host.rescan();
    assert_eq!((answer(&host), status(&host, "10-canary").unwrap().problem()), (Some(3), None));
}

#[test]
fn settings_beside_a_plugin_are_part_of_it() {
    // Refuses settings that are longer than `{}`.
    let configure = "(i32.store (i32.const 512) (i32.gt_u (local.get $length) (i32.const 2))) (i32.const 512)";
    let wasm = Naming { configure: configure.into(), answer: a_records(1, &[[100, 64, 0, 2]]), ..Naming::default() };
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    fs::write(folder.join("10-canary.wasm"), wasm.component()).unwrap();
    let host = host(root.path(), Vec::new());
    assert_eq!(answer(&host), Some(2));
    for (text, why) in [
        ("[settings]\nserver = 1", "refused its settings"),
        ("[limit]", "10-canary.toml: line 1: unknown field `limit`"),
        ("[limits]\ndeadline_ms = 0", "10-canary.toml: [limits] deadline_ms must be"),
    ] {
        fs::write(folder.join("10-canary.toml"), text).unwrap();
        host.rescan();
        let canary = status(&host, "10-canary").unwrap();
        assert!(canary.problem().unwrap().contains(why), "{:?}", canary.problem());
        assert_eq!(answer(&host), Some(2));
    }
    let changes = host.changes();
    fs::write(folder.join("10-canary.toml"), "[limits]\ndeadline_ms = 100").unwrap();
    host.rescan();
    assert_eq!(status(&host, "10-canary").unwrap().problem(), None);
    assert!(changes.has_changed().unwrap(), "its settings changed");
}

#[test]
fn files_that_others_could_have_written_are_refused() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    let write = |name: &str, mode| {
        fs::write(folder.join(name), says(2)).unwrap();
        fs::set_permissions(folder.join(name), fs::Permissions::from_mode(mode)).unwrap();
    };
    write("10-group.wasm", 0o664);
    write("11-world.wasm", 0o646);
    write("12-settings.wasm", 0o644);
    write("12-settings.toml", 0o666);
    write("canary.wasm", 0o644);
    write("1-canary.wasm", 0o644);
    write("13-Canary.wasm", 0o644);
    write(".14-hidden.wasm", 0o644);
    symlink("canary.wasm", folder.join("15-link.wasm")).unwrap();
    fs::create_dir(folder.join("16-folder.wasm")).unwrap();
    let host = host(root.path(), vec![("bundled", says(1))]);
    assert_eq!(answer(&host), Some(1));
    let refused = |name: &str| match status(&host, name).unwrap().state {
        State::Refused(reason) => reason,
        other => panic!("{name}: {other:?}"),
    };
    assert!(refused("10-group").contains("writable by nobody else"));
    assert!(refused("11-world").contains("writable by nobody else"));
    assert!(refused("12-settings").contains("its .toml must belong to root"));
    assert!(refused("canary").contains("NN-name.wasm"));
    assert!(refused("1-canary").contains("NN-name.wasm"));
    assert!(refused("13-Canary").contains("NN-name.wasm"));
    assert!(refused("15-link").contains("symbolic link"));
    assert!(refused("16-folder").contains("no regular file"));
    assert_eq!(host.status().len(), 9);
}

#[test]
fn a_folder_that_others_can_write_is_not_read() {
    let root = tempfile::tempdir().unwrap();
    let folder = folder(root.path());
    fs::write(folder.join("10-canary.wasm"), says(2)).unwrap();
    let host = host(root.path(), Vec::new());
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).unwrap();
    fs::write(folder.join("11-theirs.wasm"), says(3)).unwrap();
    host.rescan();
    assert!(status(&host, "plugins.d").unwrap().problem().unwrap().contains("writable by nobody else"));
    assert!(status(&host, "11-theirs").is_none());
    assert_eq!(answer(&host), Some(2));
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o755)).unwrap();
    host.rescan();
    assert!(status(&host, "plugins.d").is_none() && status(&host, "11-theirs").is_some());
}

#[test]
fn a_swap_under_load_loses_no_answer() {
    let root = tempfile::tempdir().unwrap();
    let path = folder(root.path()).join("10-canary.wasm");
    fs::write(&path, says(2)).unwrap();
    let host = host(root.path(), Vec::new());
    let done = Arc::new(AtomicBool::new(false));
    let askers: Vec<_> = (0..3)
        .map(|_| {
            let (host, done) = (host.clone(), done.clone());
            std::thread::spawn(move || {
                let mut seen = [0_u32; 4];
                while !done.load(Ordering::SeqCst) {
                    seen[usize::from(answer(&host).expect("an answer at any time"))] += 1;
                }
                seen
            })
        })
        .collect();
    for round in 0..10 {
        fs::write(&path, says(2 + round % 2)).unwrap();
        host.rescan();
        wait_for("an answer of the latest", || answer(&host) == Some(2 + round % 2));
    }
    done.store(true, Ordering::SeqCst);
    let seen: Vec<_> = askers.into_iter().map(|asker| asker.join().unwrap()).collect();
    assert!(seen.iter().all(|seen| seen[0] == 0 && seen[1] == 0 && seen[2] + seen[3] > 0), "{seen:?}");
    assert_eq!(status(&host, "10-canary").unwrap().faults, 0);
}

#[test]
fn quarantine_ends_when_the_file_changes() {
    let root = tempfile::tempdir().unwrap();
    let path = folder(root.path()).join("10-canary.wasm");
    fs::write(&path, Naming::on_txt("unreachable")).unwrap();
    let host = host(root.path(), Vec::new());
    wait_for("quarantine", || {
        host.resolve(&mesh::snapshot(), &question("canary", RecordType::Txt));
        matches!(status(&host, "10-canary").unwrap().state, State::Quarantined(_))
    });
    host.rescan();
    assert!(matches!(status(&host, "10-canary").unwrap().state, State::Quarantined(_)), "the same file is no change");
    let mended = Naming { resolve: CANNED.into(), answer: a_records(1, &[[100, 64, 0, 3]]), ..Naming::default() };
    fs::write(&path, mended.component()).unwrap();
    host.rescan();
    assert_eq!((status(&host, "10-canary").unwrap().state, answer(&host)), (State::Running, Some(3)));
}
