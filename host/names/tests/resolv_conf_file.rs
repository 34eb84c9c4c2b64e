//! `resolv.conf` on a real disk: each state that a crash can leave works, and the former file comes back exactly.

#![cfg(test)]

mod common;

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};
use std::path::{Path, PathBuf};

use common::machine::{bind, on_machine, sh};
use servos_names::{
    Facts, FileStep, Listening, Present, ResolvConf, ResolvConfFile, ResolverChoice, Step, Wanted, plan_resolver,
    plan_restore,
};
use tempfile::TempDir;

const FORMER: &str = "# mine\nnameserver 192.0.2.1\nsearch lan\n";

fn wanted() -> Wanted {
    Wanted {
        choice: ResolverChoice::ResolvConf,
        loopback: "127.64.0.53".parse().unwrap(),
        address: "100.64.0.1".parse().unwrap(),
        domain: "mesh.internal".parse().unwrap(),
        hosts: Vec::new(),
        upstreams: Vec::new(),
        fallback_upstreams: true,
        backup: "backup".into(),
    }
}

fn put_ours(file: &ResolvConfFile) -> Vec<FileStep> {
    let facts =
        Facts { file: file.read().unwrap(), listening: Listening { loopback: true, mesh: true }, ..Facts::default() };
    files(plan_resolver(&facts, &wanted()).steps)
}

fn put_back(file: &ResolvConfFile) -> Vec<FileStep> {
    files(plan_restore(&file.read().unwrap(), None))
}

fn files(steps: Vec<Step>) -> Vec<FileStep> {
    steps
        .into_iter()
        .map(|step| match step {
            Step::File(step) => step,
            Step::Link(..) => panic!("{step}"),
        })
        .collect()
}

fn run(file: &ResolvConfFile, steps: &[FileStep]) {
    for step in steps {
        file.run(step).unwrap_or_else(|error| panic!("{step:?}: {error:?}"));
    }
}

/// How a host may have its `resolv.conf`, made in an empty folder, and what shows that it is as it was.
struct Host {
    folder: PathBuf,
    before: String,
}

impl Host {
    fn new(folder: &Path, make: impl Fn(&Path)) -> Self {
        fs::create_dir_all(folder.join("etc")).unwrap();
        make(folder);
        Self { folder: folder.to_owned(), before: state(&folder.join("etc")) }
    }

    fn file(&self) -> ResolvConfFile {
        ResolvConfFile::new(&self.folder.join("etc/resolv.conf"))
    }

    fn is_as_before(&self) {
        assert_eq!(state(&self.folder.join("etc")), self.before);
    }

    /// A file is there, whole, and names a server that works: ours, or the former one.
    fn works(&self, existed: bool) {
        let text = match fs::read_to_string(self.folder.join("etc/resolv.conf")) {
            Ok(text) => text,
            Err(error) => {
                assert!(!existed, "{error}");
                return;
            }
        };
        let conf = ResolvConf::parse(&text);
        if ResolvConf::is_ours(&text) {
            assert_eq!(conf.nameservers[0], "127.64.0.53");
            assert!(conf.search.unwrap().contains(&"mesh.internal".to_owned()));
        } else {
            assert_eq!(text, FORMER);
        }
    }
}

/// Names, kinds, owners, modes, inodes of links' targets and contents of all that is in a folder.
fn state(folder: &Path) -> String {
    let mut entries: Vec<_> = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    let describe = |path: &PathBuf| {
        let metadata = fs::symlink_metadata(path).unwrap();
        let target = fs::read_link(path).ok();
        let text = fs::read_to_string(path).ok();
        let (uid, mode) = (metadata.uid(), metadata.permissions().mode());
        format!("{} {uid} {mode:o} {target:?} {text:?}\n", path.display())
    };
    entries.iter().map(describe).collect()
}

fn plain(folder: &Path) {
    let path = folder.join("etc/resolv.conf");
    fs::write(&path, FORMER).unwrap();
    fs::set_permissions(&path, PermissionsExt::from_mode(0o640)).unwrap();
    std::os::unix::fs::chown(&path, Some(1), Some(1)).unwrap();
}

fn link(folder: &Path) {
    fs::write(folder.join("generated"), FORMER).unwrap();
    symlink("../generated", folder.join("etc/resolv.conf")).unwrap();
}

fn dangling(folder: &Path) {
    symlink("../nowhere", folder.join("etc/resolv.conf")).unwrap();
}

fn none(_: &Path) {}

fn after_a_crash(folder: &Path, make: fn(&Path), existed: bool) {
    // Ended after each number of steps of the way there, and then of the way back.
    for there in 0..=4 {
        for back in 0..=3 {
            let host = Host::new(&folder.join(format!("{there}-{back}")), make);
            let file = host.file();
            let steps = put_ours(&file);
            run(&file, &steps[..there.min(steps.len())]);
            host.works(existed);
            let steps = put_back(&file);
            run(&file, &steps[..back.min(steps.len())]);
            host.works(existed);
            // The next agent goes all the way there and back.
            run(&file, &put_ours(&file));
            assert!(matches!(file.read().unwrap().present, Present::Ours(_)));
            assert_eq!(put_ours(&file), [], "there is nothing left to do");
            host.works(existed);
            run(&file, &put_back(&file));
            host.is_as_before();
            assert_eq!(put_back(&file), [], "there is nothing left to do");

            // Or only back, after each end of the way there.
            let steps = put_ours(&file);
            run(&file, &steps[..there.min(steps.len())]);
            run(&file, &put_back(&file));
            host.is_as_before();
        }
    }
}

#[test]
fn a_plain_file_comes_back_with_owner_and_mode_after_any_crash() {
    let folder = TempDir::new().unwrap();
    after_a_crash(folder.path(), plain, true);
}

#[test]
fn a_link_comes_back_as_a_link_after_any_crash() {
    let folder = TempDir::new().unwrap();
    after_a_crash(folder.path(), link, true);
}

#[test]
fn a_link_to_nowhere_comes_back_after_any_crash() {
    let folder = TempDir::new().unwrap();
    after_a_crash(folder.path(), dangling, false);
}

#[test]
fn no_file_at_all_comes_back_as_none_after_any_crash() {
    let folder = TempDir::new().unwrap();
    after_a_crash(folder.path(), none, false);
}

#[test]
fn a_file_that_is_a_mount_is_written_in_place_and_comes_back_after_any_crash() {
    // As in containers: the file can be neither renamed over, nor linked.
    on_machine(async |folder| {
        let mounted = |folder: &Path| {
            fs::write(folder.join("mounted"), FORMER).unwrap();
            fs::write(folder.join("etc/resolv.conf"), "").unwrap();
            bind(&folder.join("mounted"), &folder.join("etc/resolv.conf"));
        };
        for there in 0..=4 {
            for back in 0..=3 {
                let host = Host::new(&folder.path().join(format!("{there}-{back}")), mounted);
                let file = host.file();
                run(&file, &put_ours(&file)[..there]);
                host.works(true);
                let steps = put_back(&file);
                run(&file, &steps[..back.min(steps.len())]);
                host.works(true);
                run(&file, &put_ours(&file));
                assert!(matches!(file.read().unwrap().present, Present::Ours(_)));
                run(&file, &put_back(&file));
                host.is_as_before();
                sh(&format!("umount {}", host.folder.join("etc/resolv.conf").display()));
            }
        }
    });
}

#[test]
fn what_the_links_target_says_later_counts() {
    let folder = TempDir::new().unwrap();
    let host = Host::new(folder.path(), link);
    let file = host.file();
    run(&file, &put_ours(&file));
    // Whoever writes the target goes on to do so.
    fs::write(folder.path().join("generated"), "nameserver 192.0.2.77\n").unwrap();
    run(&file, &put_ours(&file));
    let text = fs::read_to_string(folder.path().join("etc/resolv.conf")).unwrap();
    assert_eq!(ResolvConf::parse(&text).nameservers, ["127.64.0.53", "192.0.2.77"]);
}

#[test]
fn a_folder_that_cannot_be_written_leaves_the_file_as_it_is() {
    on_machine(async |folder| {
        let host = Host::new(folder.path(), plain);
        let etc = folder.path().join("etc");
        sh(&format!("mount --bind {0} {0} && mount -o remount,ro,bind {0}", etc.display()));
        let file = host.file();
        let steps = put_ours(&file);
        let error = file.run(&steps[0]).unwrap_err().to_string();
        assert!(error.contains("resolv.conf cannot be written"), "{error}");
        host.is_as_before();
    });
}
