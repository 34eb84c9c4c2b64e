//! What a laboratory left that was killed before it could tidy up, or that was kept: found by its folder, and removed.

use std::path::{Path, PathBuf};

use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::underlay::{end_programs, ip};

/// Folders of laboratories begin with it; the pid of their process and a count follow.
const FOLDER: &str = "servos-lab-";

/// In the folder of a laboratory that is to outlive its process.
const KEPT: &str = "kept";

/// Which laboratories to remove.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Which {
    /// Those whose process ended without tidying up.
    Lost,
    /// Those as well that were kept on purpose.
    LostAndKept,
}

/// The folder of laboratory `count` of this process.
pub(crate) fn folder(count: u32) -> PathBuf {
    std::env::temp_dir().join(format!("{FOLDER}{}-{count}", Pid::this()))
}

/// Names of its namespaces begin with it; at most 7 characters, since names of interfaces have 15.
pub(crate) fn prefix(pid: i32, count: u32) -> String {
    format!("s{:x}{:x}", pid & 0xffff, count & 0xff)
}

/// Marks a laboratory as kept.
pub(crate) fn mark_kept(folder: &Path) -> std::io::Result<()> {
    std::fs::write(folder.join(KEPT), "")
}

/// Removes laboratories, with the programs in them. Returns their folders. Best effort: another process may be at it.
pub fn remove(which: Which) -> Vec<PathBuf> {
    let Ok(folders) = std::fs::read_dir(std::env::temp_dir()) else {
        return Vec::new();
    };
    let mut removed = Vec::new();
    for folder in folders.filter_map(Result::ok).map(|entry| entry.path()) {
        let Some((pid, count)) = folder.file_name().and_then(|name| owner(name.to_str()?)) else {
            continue;
        };
        let alive = kill(Pid::from_raw(pid), None).is_ok();
        let kept = folder.join(KEPT).exists();
        if alive || (kept && which == Which::Lost) {
            continue;
        }
        end(&prefix(pid, count));
        // Another sweep may have been quicker.
        let _ = std::fs::remove_dir_all(&folder);
        removed.push(folder);
    }
    removed
}

/// The process that a folder belongs to, and which of its laboratories it is.
fn owner(name: &str) -> Option<(i32, u32)> {
    let (pid, count) = name.strip_prefix(FOLDER)?.split_once('-')?;
    Some((pid.parse().ok().filter(|pid| *pid > 0)?, count.parse().ok()?))
}

/// Ends what runs in the namespaces of a laboratory, and removes them; links between them go with them.
fn end(prefix: &str) {
    let names = ip(&["netns", "list"]).unwrap_or_default();
    let mine = format!("{prefix}-");
    for namespace in names.lines().filter_map(|line| line.split_whitespace().next()) {
        if namespace.starts_with(&mine) {
            end_programs(namespace);
            let _ = ip(&["netns", "del", namespace]);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_folders_of_laboratories_have_an_owner() {
        assert_eq!(owner("servos-lab-17-3"), Some((17, 3)));
        for other in ["servos-lab-17", "servos-lab-0-1", "servos-lab--1-1", "servos-lab-x-1", "servos-17-1", ""] {
            assert_eq!(owner(other), None, "{other}");
        }
    }
}
