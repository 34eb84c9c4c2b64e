//! The systemd unit: installed and started by `commission`, stopped and removed by `decommission`.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::durable_file;

const UNIT: &str = include_str!("../systemd/servos-agent.service");
const UNIT_PATH: &str = "/etc/systemd/system/servos-agent.service";
/// Where the unit expects the program.
const INSTALLED: &str = "/usr/local/bin/servos-agent";
const NAME: &str = "servos-agent.service";

/// Copies this program to its place, installs the unit and starts it. False where systemd does not run this machine.
///
/// # Errors
///
/// What systemd said.
pub fn install_and_start() -> Result<bool> {
    if !systemd_runs() {
        return Ok(false);
    }
    let program = std::env::current_exe().context("cannot find this program")?;
    if program != Path::new(INSTALLED) {
        // The unit sees no home folders, and a program that somebody cleans away is no program.
        let bytes = std::fs::read(&program).with_context(|| format!("cannot read {}", program.display()))?;
        durable_file::write(Path::new(INSTALLED), &bytes, 0o755)
            .with_context(|| format!("cannot write {INSTALLED}"))?;
    }
    durable_file::write(Path::new(UNIT_PATH), UNIT.as_bytes(), 0o644)
        .with_context(|| format!("cannot write {UNIT_PATH}"))?;
    systemctl(&["daemon-reload"])?;
    systemctl(&["enable", "--now", NAME])?;
    Ok(true)
}

/// Stops and removes the unit, if it is there.
///
/// # Errors
///
/// What systemd said.
pub fn stop_and_remove() -> Result<()> {
    if !systemd_runs() || !Path::new(UNIT_PATH).exists() {
        return Ok(());
    }
    systemctl(&["disable", "--now", NAME])?;
    std::fs::remove_file(UNIT_PATH).with_context(|| format!("cannot remove {UNIT_PATH}"))?;
    systemctl(&["daemon-reload"])
}

/// As sd_booted(3) finds out.
fn systemd_runs() -> bool {
    Path::new("/run/systemd/system").is_dir()
}

fn systemctl(arguments: &[&str]) -> Result<()> {
    let output = Command::new("systemctl").args(arguments).output().context("cannot run systemctl")?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr);
        bail!("`systemctl {}` failed: {}", arguments.join(" "), said.trim());
    }
    Ok(())
}
