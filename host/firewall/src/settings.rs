//! The `[firewall]` table of `agent.toml`.

use std::num::NonZeroU16;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// How the firewall is treated.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FirewallSettings {
    /// Whether ufw is managed at all.
    pub mode: FirewallMode,
    /// Whether an inactive ufw may be enabled. Before that, the ports that sshd listens on are allowed.
    pub enable_ufw: bool,
    /// Ports of SSH. Empty: those that sshd is configured for or listens on, or else 22.
    pub ssh_ports: Vec<NonZeroU16>,
    /// The `ufw` program.
    pub ufw_path: PathBuf,
    /// The `sshd` program, which is asked for its ports.
    pub sshd_path: PathBuf,
    /// Where the kernel's process table is mounted.
    pub proc_path: PathBuf,
    /// The file whose lock keeps two runs apart.
    pub lock_path: PathBuf,
}

/// Whether ufw is managed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum FirewallMode {
    /// Rules of the mesh are added, changed and removed.
    #[default]
    Manage,
    /// ufw is neither read nor changed.
    Off,
}

impl Default for FirewallSettings {
    fn default() -> Self {
        Self {
            mode: FirewallMode::Manage,
            enable_ufw: false,
            ssh_ports: Vec::new(),
            ufw_path: "/usr/sbin/ufw".into(),
            sshd_path: "/usr/sbin/sshd".into(),
            proc_path: "/proc".into(),
            lock_path: "/run/servos-firewall.lock".into(),
        }
    }
}
