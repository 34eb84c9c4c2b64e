//! The network below the mesh: `ip`, and what a laboratory's namespaces have in common.

use std::net::Ipv4Addr;
use std::process::Command;

use anyhow::Result;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::shell;

/// The bridge's own address, of 10.77.0.0/16.
pub(crate) const GATEWAY: Ipv4Addr = Ipv4Addr::new(10, 77, 0, 1);

/// Runs `ip`.
pub(crate) fn ip(arguments: &[&str]) -> Result<String> {
    let mut command = Command::new("ip");
    command.args(arguments);
    shell::run(command, "")?.success(&format!("ip {}", arguments.join(" ")))
}

/// Ends every program in a namespace: whatever runs in a laboratory's own network was started by it.
pub(crate) fn end_programs(namespace: &str) {
    for pid in ip(&["netns", "pids", namespace]).unwrap_or_default().split_whitespace() {
        if let Ok(pid) = pid.parse() {
            // It may have ended this moment.
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}
