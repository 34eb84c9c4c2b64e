//! A machine of its own for real ufw: a network and a mount namespace with private `/etc/ufw`, `/lib/ufw` and `/run`.
//! Needs root. Nothing leaves it; it ends with the test, also with one that is killed.

use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use servos_firewall::{Firewall, FirewallSettings};
use tempfile::TempDir;

const SETUP: &str = r#"
set -e
for folder in /etc/ufw /lib/ufw; do
    mkdir -p "$1$folder"; cp -a "$folder/." "$1$folder/"; mount --bind "$1$folder" "$folder"
done
cp -a /etc/default/ufw "$1/default"; mount --bind "$1/default" /etc/default/ufw
mount -t tmpfs tmpfs /run
ip link set lo up
echo ready
exec cat >/dev/null
"#;

pub struct Machine {
    /// Ends when its input does, and the namespaces with it.
    holder: Child,
    folder: TempDir,
}

impl Machine {
    pub fn new() -> Self {
        let folder = TempDir::new().unwrap();
        let mut holder = Command::new("unshare")
            .args(["--mount", "--net", "--propagation", "private", "sh", "-c", SETUP, "sh"])
            .arg(folder.path())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("unshare (package util-linux)");
        let mut line = String::new();
        BufReader::new(holder.stdout.take().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "no namespace with ufw: this test needs root and Debian's package ufw");
        let machine = Self { holder, folder };
        let real = format!("exec nsenter -t {} -m -n -- /usr/sbin/ufw \"$@\"", machine.holder.id());
        machine.script("ufw", &real);
        machine
    }

    /// ufw of this machine, as seen from outside of it.
    pub fn ufw_path(&self) -> PathBuf {
        self.folder.path().join("ufw")
    }

    /// Runs ufw here and returns what it printed.
    pub fn ufw(&self, line: &str) -> String {
        let output =
            Command::new("sh").arg("-c").arg(format!("{} {line}", self.ufw_path().display())).output().unwrap();
        assert!(output.status.success(), "ufw {line}: {output:?}");
        String::from_utf8(output.stdout).unwrap()
    }

    /// The rules, one a line, without `ufw `.
    pub fn rules(&self) -> Vec<String> {
        let printed = self.ufw("show added");
        printed.lines().filter_map(|line| line.strip_prefix("ufw ")).map(str::to_owned).collect()
    }

    pub fn settings(&self) -> FirewallSettings {
        FirewallSettings {
            ssh_ports: vec![22.try_into().unwrap()],
            ufw_path: self.ufw_path(),
            lock_path: self.folder.path().join("lock"),
            ..FirewallSettings::default()
        }
    }

    pub fn firewall(&self) -> Firewall {
        Firewall::new(self.settings(), "wg0", 51820)
    }

    /// Puts an executable shell script into this machine's folder.
    pub fn script(&self, name: &str, body: &str) -> PathBuf {
        script(self.folder.path(), name, body)
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.holder.stdin.take());
        let _ = self.holder.wait();
    }
}

/// Puts an executable shell script into a folder. Another process writes it: a test that forks at that moment would
/// hold this one's file open, and running it would be refused («text file busy»).
pub fn script(folder: &Path, name: &str, body: &str) -> PathBuf {
    let path = folder.join(name);
    let write = r#"printf '#!/bin/sh\n%s\n' "$2" >"$1" && chmod 755 "$1""#;
    let status = Command::new("sh").args(["-c", write, "sh"]).arg(&path).arg(body).status().unwrap();
    assert!(status.success());
    path
}
