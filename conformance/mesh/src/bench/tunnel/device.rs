//! A device: a program that is called like `wireguard-go`, then configured with `wg` and `ip`.

use std::path::{Path, PathBuf};
use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::figure::{BORINGTUN, CURRENT, DEBIAN, GOTATUN, OURS};
use crate::daemon::Daemon;
use crate::machine::Machine;
use crate::programs::tools;
use crate::wait_for;

/// Name of the interface that every device makes.
pub(in crate::bench) const INTERFACE: &str = "wgb0";

/// UDP port that every device listens on.
pub(super) const PORT: u16 = 51_900;

/// MTU inside, bytes: the kernel's default for WireGuard.
const MTU: &str = "1420";

/// Takes another program for ours, called as `PROGRAM [ARGUMENTS] INTERFACE`: a build from elsewhere, a stand-in.
const OTHER_PROGRAM: &str = "SERVOS_BENCH_TUNNEL";

/// A program, and how it is called; the name of the interface comes last.
#[derive(Clone, Debug)]
pub(in crate::bench) struct Device {
    pub(super) name: &'static str,
    command: Vec<String>,
}

/// A device on one machine: its address inside, and what runs it.
pub(in crate::bench) struct End {
    // Dropped in this order: the program before its machine.
    pub(super) daemon: Daemon,
    pub(super) address: &'static str,
    public_key: String,
}

impl Device {
    /// Ours: `servos-agent tunnel` beside the running program, or what `SERVOS_BENCH_TUNNEL` says.
    pub(super) fn ours() -> Result<Self> {
        if let Ok(other) = std::env::var(OTHER_PROGRAM) {
            let command: Vec<String> = other.split_whitespace().map(str::to_owned).collect();
            ensure!(!command.is_empty(), "{OTHER_PROGRAM} is empty: expected PROGRAM [ARGUMENTS]");
            return Ok(Self { name: OURS, command });
        }
        let agent = std::env::current_exe()?.with_file_name("servos-agent");
        ensure!(agent.exists(), "{} is missing: run `cargo xtask build --release`", agent.display());
        Ok(Self { name: OURS, command: vec![agent.display().to_string(), "tunnel".into(), "-f".into()] })
    }

    /// Debian's `wireguard-go`, which `cargo xtask setup` installs.
    pub(in crate::bench) fn debian() -> Self {
        Self { name: DEBIAN, command: ["env", "WG_PROCESS_FOREGROUND=1", "wireguard-go", "-f"].map(Into::into).into() }
    }

    /// All that can be had of the others; of the rest, a line that says why not.
    pub(super) fn others() -> (Vec<Self>, Vec<String>) {
        let tools = tools().join("bin");
        let in_tools = [
            (CURRENT, tools.join("wireguard"), &["-f"][..]),
            (BORINGTUN, tools.join("boringtun-cli"), &["-f", "--disable-drop-privileges"]),
            (GOTATUN, tools.join("gotatun"), &["-f", "--verbosity", "error", "--disable-drop-privileges"]),
        ];
        let (mut devices, mut left_out) = (Vec::new(), Vec::new());
        if in_path("wireguard-go") {
            devices.push(Self::debian());
        } else {
            left_out.push(format!("{DEBIAN}: wireguard-go is not in the path"));
        }
        for (name, program, arguments) in in_tools {
            if program.exists() {
                let arguments = arguments.iter().map(|argument| (*argument).to_owned());
                let command = std::iter::once(program.display().to_string()).chain(arguments).collect();
                devices.push(Self { name, command });
            } else {
                left_out.push(format!("{name}: {} is not there", program.display()));
            }
        }
        (devices, left_out)
    }

    /// Starts the program, gives it a key, a port, an address of a /24 and the MTU.
    pub(in crate::bench) fn start(&self, machine: &Machine, address: &'static str) -> Result<End> {
        let (program, arguments) = self.command.split_first().context("a device without program")?;
        let mut arguments: Vec<&str> = arguments.iter().map(String::as_str).collect();
        arguments.push(INTERFACE);
        let daemon = machine.spawn("device", program, &arguments, "")?;
        let up = format!(
            "umask 77; wg genkey > /run/{INTERFACE}.key; \
             wg set {INTERFACE} listen-port {PORT} private-key /run/{INTERFACE}.key && \
             ip address add {address}/24 dev {INTERFACE} && ip link set {INTERFACE} mtu {MTU} up && \
             wg pubkey < /run/{INTERFACE}.key"
        );
        let public_key = wait_for(self.name, Duration::from_secs(10), || {
            machine.run("wg", &["show", INTERFACE])?.success("wg show").map(drop)
        })
        .and_then(|()| machine.sh(&up)?.success("configure the device"))
        .with_context(|| format!("{} does not come up: {}", self.name, daemon.log()))?;
        Ok(End { daemon, address, public_key: public_key.trim().to_owned() })
    }
}

impl End {
    /// The key that its peer knows it by, base64.
    pub(super) fn public_key(&self) -> &str {
        &self.public_key
    }
}

/// Makes two devices peers of each other. No packet is sent.
pub(in crate::bench) fn join(one: (&Machine, &End), two: (&Machine, &End)) -> Result<()> {
    for ((machine, _), (other, end)) in [(one, two), (two, one)] {
        let endpoint = format!("{}:{PORT}", other.address());
        let allowed = format!("{}/32", end.address);
        let arguments = ["set", INTERFACE, "peer", end.public_key(), "allowed-ips", &allowed, "endpoint", &endpoint];
        machine.run("wg", &arguments)?.success("wg set")?;
    }
    Ok(())
}

/// Makes two devices forget each other, and the session that they have.
pub(super) fn part(one: (&Machine, &End), two: (&Machine, &End)) -> Result<()> {
    for ((machine, _), (_, end)) in [(one, two), (two, one)] {
        machine.run("wg", &["set", INTERFACE, "peer", end.public_key(), "remove"])?.success("wg set")?;
    }
    Ok(())
}

fn in_path(program: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = std::env::split_paths(&path).chain([PathBuf::from("/usr/sbin")]);
    folders.into_iter().any(|folder: PathBuf| Path::new(&folder).join(program).is_file())
}
