//! The laboratory: a namespace with a bridge, and machines on it.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::{Context, Result, bail};
use nix::unistd::{Pid, geteuid};

use crate::leftovers::{self, Which};
use crate::machine::Machine;
use crate::shell;
use crate::underlay::{GATEWAY, ip};

/// Tells laboratories of one process apart.
static COUNT: AtomicU32 = AtomicU32::new(0);

/// The packet filters that a bridge can be told to pass (`Documentation/networking/ip-sysctl.rst` of Linux, `net.bridge`).
const BRIDGE_FILTERS: [&str; 3] = ["arptables", "ip6tables", "iptables"];

/// A bridge between machines, 10.77.0.0/16. Removed when dropped.
#[derive(Debug)]
pub struct Lab {
    /// See [`leftovers::prefix`].
    prefix: String,
    folder: PathBuf,
    next_host: AtomicU32,
    keep: bool,
}

impl Lab {
    /// The bridge's own address, where the laboratory's upstream DNS server listens.
    pub const GATEWAY: Ipv4Addr = GATEWAY;

    /// Makes the bridge in a namespace of its own.
    ///
    /// # Errors
    ///
    /// Without root, or what `ip` said.
    pub fn new() -> Result<Self> {
        if !geteuid().is_root() {
            bail!("network namespaces need root");
        }
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        leftovers::remove(Which::Lost);
        let prefix = leftovers::prefix(Pid::this().as_raw(), count);
        let folder = leftovers::folder(count);
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot make {}", folder.display()))?;
        let lab = Self { prefix, folder, next_host: AtomicU32::new(2), keep: false };
        let hub = lab.hub();
        ip(&["netns", "add", &hub])?;
        ip(&["-n", &hub, "link", "set", "lo", "up"])?;
        ip(&["-n", &hub, "link", "add", "br0", "type", "bridge"])?;
        ip(&["-n", &hub, "addr", "add", &format!("{}/16", Self::GATEWAY), "dev", "br0"])?;
        ip(&["-n", &hub, "link", "set", "br0", "up"])?;
        lab.only_switch()?;
        Ok(lab)
    }

    /// Has the bridge switch only. Where the module `br_netfilter` is loaded, everything on a bridge passes the packet
    /// filter as well: no wire does that, and a measurement would count it.
    fn only_switch(&self) -> Result<()> {
        let mut sysctl = self.on_hub("sysctl");
        // Settings that are not there are no error: the module is not loaded.
        sysctl.args(["--quiet", "--ignore", "--write"]);
        sysctl.args(BRIDGE_FILTERS.map(|filter| format!("net.bridge.bridge-nf-call-{filter}=0")));
        shell::run(sysctl, "")?.success("sysctl for the laboratory's bridge")?;
        Ok(())
    }

    /// Leaves everything running when dropped.
    ///
    /// # Errors
    ///
    /// If that cannot be noted.
    pub fn keep(&mut self) -> Result<()> {
        leftovers::mark_kept(&self.folder).context("cannot keep the laboratory")?;
        self.keep = true;
        Ok(())
    }

    /// Logs of the programs.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// The namespace of the bridge.
    pub fn hub(&self) -> String {
        format!("{}-hub", self.prefix)
    }

    /// A command in the namespace of the bridge.
    pub fn on_hub(&self, program: &str) -> Command {
        let mut command = Command::new("ip");
        command.args(["netns", "exec", &self.hub(), program]);
        command
    }

    /// Adds a machine with the next address of the underlay. `name` has at most 7 characters.
    ///
    /// # Errors
    ///
    /// What `ip` or `unshare` said.
    pub fn machine(&self, name: &str) -> Result<Machine> {
        let host = self.next_host.fetch_add(1, Ordering::Relaxed);
        let address = Ipv4Addr::from(u32::from(Self::GATEWAY) + host - 1);
        let namespace = format!("{}-{name}", self.prefix);
        let hub = self.hub();
        let port = format!("{}-{name}", self.prefix);
        ip(&["netns", "add", &namespace])?;
        ip(&["-n", &hub, "link", "add", &port, "type", "veth", "peer", "name", "eth0", "netns", &namespace])?;
        ip(&["-n", &hub, "link", "set", &port, "master", "br0", "up"])?;
        ip(&["-n", &namespace, "link", "set", "lo", "up"])?;
        ip(&["-n", &namespace, "addr", "add", &format!("{address}/16"), "dev", "eth0"])?;
        ip(&["-n", &namespace, "link", "set", "eth0", "up"])?;
        ip(&["-n", &namespace, "route", "add", "default", "via", &Self::GATEWAY.to_string()])?;
        Machine::start(name, namespace, hub, port, address, self.folder.join(name), self.keep)
    }
}

impl Drop for Lab {
    fn drop(&mut self) {
        if self.keep {
            return;
        }
        // Best effort, each by itself. Machines are gone by now, or go with their holder.
        let _ = ip(&["netns", "del", &self.hub()]);
        let _ = std::fs::remove_dir_all(&self.folder);
    }
}
