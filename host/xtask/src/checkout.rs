//! Whose build products lie in the cache.
//!
//! All checkouts share them, so that each finds its dependencies built. Those of our own crates are another matter: Cargo
//! takes them for fresh if they are younger than the files of a crate, whichever checkout they were made of, and paths of
//! the checkout are written in some. So what another checkout made of our own crates is forgotten, once none of its commands
//! runs.

use std::collections::BTreeSet;
use std::ffi::OsStr;
use std::fs::{File, OpenOptions, TryLockError};
use std::path::{Path, PathBuf};
use std::{fs, io};

use anyhow::{Context, Result};

use crate::places;

/// In a target folder: the checkout that made what is there of our own crates.
const NOTE: &str = "checkout";

/// Cargo's folders of what it knows of each built crate lie so deep in a target folder, at most.
const DEPTH: usize = 4;

/// In the cache: locked by all commands of the checkout whose cache it is, and alone by one that makes it another's.
const LOCK: &str = "checkout.lock";

/// While this is there, the cache stays this checkout's.
pub struct Claim {
    _lock: File,
}

/// Makes the cache this checkout's. Waits for the commands of others, and says so.
pub fn claim() -> Result<Claim> {
    let (cache, targets) = (places::cache(), [places::target(), places::fuzz_target(), places::guest_target()]);
    if let Some(claim) = Claim::of(&cache, &targets, &places::root(), false)? {
        return Ok(claim);
    }
    eprintln!("waiting for another checkout, which builds in {} or runs what it built there", cache.display());
    Claim::of(&cache, &targets, &places::root(), true)?.context("a lock that was waited for is not held")
}

impl Claim {
    /// `None` if another has it, and it is not waited for.
    fn of(cache: &Path, targets: &[PathBuf], root: &Path, waits: bool) -> Result<Option<Self>> {
        let path = cache.join(LOCK);
        let failed = || format!("cannot lock {}", path.display());
        let opened = || OpenOptions::new().create(true).truncate(false).write(true).open(&path);
        let lock = fs::create_dir_all(cache).and_then(|()| opened()).with_context(failed)?;
        // Between one lock and the other a third may make it its own.
        loop {
            if !take(&lock, With::Others, waits).with_context(failed)? {
                return Ok(None);
            }
            if targets.iter().all(|target| is_ours(target, root)) {
                return Ok(Some(Self { _lock: lock }));
            }
            lock.unlock().with_context(failed)?;
            if !take(&lock, With::None, waits).with_context(failed)? {
                return Ok(None);
            }
            for target in targets {
                claim_target(target, root)?;
            }
            lock.unlock().with_context(failed)?;
        }
    }
}

/// With whom a lock is held.
enum With {
    Others,
    None,
}

/// False if another has the lock, and it is not waited for.
fn take(lock: &File, with: With, waits: bool) -> io::Result<bool> {
    let tried = match (with, waits) {
        (With::Others, true) => return lock.lock_shared().map(|()| true),
        (With::None, true) => return lock.lock().map(|()| true),
        (With::Others, false) => lock.try_lock_shared(),
        (With::None, false) => lock.try_lock(),
    };
    match tried {
        Ok(()) => Ok(true),
        Err(TryLockError::WouldBlock) => Ok(false),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

fn is_ours(target: &Path, root: &Path) -> bool {
    fs::read(target.join(NOTE)).is_ok_and(|noted| noted == root.as_os_str().as_encoded_bytes())
}

fn claim_target(target: &Path, root: &Path) -> Result<()> {
    if is_ours(target, root) {
        return Ok(());
    }
    let (note, ours) = (target.join(NOTE), crates_of(root)?);
    forget(target, &ours, DEPTH).with_context(|| format!("cannot forget what lies in {}", target.display()))?;
    fs::create_dir_all(target)
        .and_then(|()| fs::write(&note, root.as_os_str().as_encoded_bytes()))
        .with_context(|| format!("cannot write {}", note.display()))
}

/// Names of all crates in a checkout.
fn crates_of(folder: &Path) -> Result<BTreeSet<String>> {
    let mut crates = BTreeSet::new();
    let entries = fs::read_dir(folder).with_context(|| format!("cannot list {}", folder.display()))?;
    for entry in entries {
        let entry = entry?;
        let (name, path) = (entry.file_name(), entry.path());
        if entry.file_type()?.is_dir() && name != "target" && !name.as_encoded_bytes().starts_with(b".") {
            crates.append(&mut crates_of(&path)?);
        } else if name == "Cargo.toml" {
            let manifest = fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))?;
            crates.extend(package_of(&manifest).map(str::to_owned));
        }
    }
    Ok(crates)
}

/// The name in a manifest's `[package]`.
fn package_of(manifest: &str) -> Option<&str> {
    let package = manifest.lines().skip_while(|line| line.trim() != "[package]").skip(1);
    let mut lines = package.take_while(|line| !line.starts_with('['));
    lines.find_map(|line| line.strip_prefix("name = \"")?.strip_suffix('"'))
}

/// Forgets that these crates were built. Of others nothing is touched.
fn forget(folder: &Path, crates: &BTreeSet<String>, depth: usize) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        entries => entries?,
    };
    for entry in entries {
        let entry = entry?;
        if !entry.file_type()?.is_dir() {
            continue;
        }
        if folder.file_name() == Some(OsStr::new(".fingerprint")) {
            // `NAME-HASH`.
            let name = entry.file_name();
            if name.to_str().and_then(|name| name.rsplit_once('-')).is_some_and(|(name, _)| crates.contains(name)) {
                fs::remove_dir_all(entry.path())?;
            }
        } else if depth > 0 {
            forget(&entry.path(), crates, depth - 1)?;
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_package_has_the_name_of_its_section() {
        let manifest =
            "[workspace]\nname = \"none\"\n[package]\nversion = \"1\"\nname = \"ours\"\n[[bin]]\nname = \"other\"\n";
        assert_eq!(package_of(manifest), Some("ours"));
        assert_eq!(package_of("[package]\n[lib]\nname = \"other\"\n"), None);
        assert_eq!(package_of("[workspace]\n"), None);
        let ours = crates_of(&places::root()).unwrap();
        assert!(
            ["xtask", "servos-agent", "servos-fuzz", "mesh-wakeup"].iter().all(|name| ours.contains(*name)),
            "{ours:?}"
        );
    }

    #[test]
    fn one_checkout_after_the_other_has_the_cache() {
        let folder = std::env::temp_dir().join(format!("servos-claim-{}", std::process::id()));
        let (target, built) = (folder.join("target"), folder.join("target/debug/.fingerprint/ours-0123"));
        let checkouts = ["one", "two"].map(|name| folder.join(name));
        for checkout in &checkouts {
            fs::create_dir_all(checkout).unwrap();
            fs::write(checkout.join("Cargo.toml"), "[package]\nname = \"ours\"\n").unwrap();
        }
        for (checkout, is_kept) in [(0, false), (0, true), (1, false), (1, true), (0, false)] {
            fs::create_dir_all(&built).unwrap();
            claim_target(&target, &checkouts[checkout]).unwrap();
            assert_eq!(built.exists(), is_kept, "of {checkout}");
        }
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn no_checkout_takes_the_cache_from_one_whose_commands_run() {
        let folder = std::env::temp_dir().join(format!("servos-lock-{}", std::process::id()));
        let (cache, checkouts) = (folder.join("cache"), ["one", "two"].map(|name| folder.join(name)));
        for checkout in &checkouts {
            fs::create_dir_all(checkout).unwrap();
        }
        let claim = |checkout: usize| {
            let targets = [cache.join("target"), cache.join("guests")];
            Claim::of(&cache, &targets, &checkouts[checkout], false).unwrap()
        };
        let first = claim(0).expect("nobody has it");
        let second = claim(0).expect("it has it already");
        assert!(claim(1).is_none(), "two commands of the other run");
        drop(first);
        assert!(claim(1).is_none(), "one command of the other runs");
        drop(second);
        let other = claim(1).expect("none runs any more");
        assert!(claim(0).is_none(), "now it is the other's");
        // Whoever waits has it in the end.
        let waiting = std::thread::spawn({
            let (cache, root) = (cache.clone(), checkouts[0].clone());
            let targets = [cache.join("target"), cache.join("guests")];
            move || Claim::of(&cache, &targets, &root, true).unwrap().is_some()
        });
        drop(other);
        assert!(waiting.join().unwrap());
        assert!(is_ours(&cache.join("target"), &checkouts[0]));
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn what_others_made_of_our_crates_is_forgotten_and_of_no_other() {
        let target = std::env::temp_dir().join(format!("servos-checkout-{}", std::process::id()));
        let built = |name: &str| target.join("triple/release/.fingerprint").join(name);
        for name in ["ours-0123", "ours-too-0123", "tokio-0123"] {
            fs::create_dir_all(built(name).join("inside")).unwrap();
        }
        forget(&target, &BTreeSet::from(["ours".to_owned()]), DEPTH).unwrap();
        assert!(!built("ours-0123").exists());
        assert!(built("ours-too-0123").exists() && built("tokio-0123").exists());
        forget(&target.join("none"), &BTreeSet::new(), DEPTH).unwrap();
        fs::remove_dir_all(&target).unwrap();
    }
}
