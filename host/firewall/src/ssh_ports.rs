//! Where SSH is reached: what the settings say, or else what sshd is configured for and what it listens on, or else 22.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use tracing::debug;

use crate::command::run;
use crate::settings::FirewallSettings;

/// Where SSH is, if nothing says otherwise.
const DEFAULT_PORT: u16 = 22;

/// Programs that are SSH's server; a process's name holds at most 15 bytes.
const SERVERS: [&str; 2] = ["sshd", "dropbear"];

/// TCP_LISTEN, as the kernel prints it.
const LISTEN: &str = "0A";

/// A TCP socket that listens beyond this machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Listener {
    /// Its port.
    pub port: u16,
    /// What ties it to a process.
    pub inode: u64,
}

/// The ports of SSH, sorted, at least one.
pub(crate) async fn find(settings: &FirewallSettings) -> Vec<u16> {
    if !settings.ssh_ports.is_empty() {
        return settings.ssh_ports.iter().map(|port| port.get()).collect::<BTreeSet<_>>().into_iter().collect();
    }
    let mut ports = BTreeSet::new();
    if tokio::fs::try_exists(&settings.sshd_path).await.unwrap_or(false) {
        match run(&settings.sshd_path, &["-T".to_owned()]).await {
            Ok(output) => ports.extend(parse_sshd_config(&output)),
            Err(error) => debug!(%error, "sshd does not say its ports"),
        }
    }
    // sshd may have been started with other ports, or before its configuration changed.
    let proc = settings.proc_path.clone();
    let listening = tokio::task::spawn_blocking(move || listening(&proc)).await;
    ports.extend(listening.unwrap_or_default());
    if ports.is_empty() {
        ports.insert(DEFAULT_PORT);
    }
    ports.into_iter().collect()
}

/// Ports in the output of `sshd -T`: `port 22`, `listenaddress 0.0.0.0:2222`.
pub fn parse_sshd_config(output: &str) -> Vec<u16> {
    let port = |line: &str| match line.split_once(' ')? {
        ("port", port) => port.trim().parse().ok(),
        ("listenaddress", address) => address.trim().rsplit_once(':')?.1.parse().ok(),
        _ => None,
    };
    output.lines().filter_map(port).filter(|port| *port != 0).collect()
}

/// Listeners in a table like `/proc/net/tcp` or `/proc/net/tcp6`, those on loopback left out.
pub fn parse_listeners(table: &str) -> Vec<Listener> {
    let listener = |line: &str| {
        let fields: Vec<&str> = line.split_ascii_whitespace().collect();
        let (address, port) = fields.get(1)?.split_once(':')?;
        let listens = *fields.get(3)? == LISTEN && !is_loopback(address);
        let port = u16::from_str_radix(port, 16).ok()?;
        let inode = fields.get(9)?.parse().ok()?;
        (listens && port != 0).then_some(Listener { port, inode })
    };
    table.lines().filter_map(listener).collect()
}

/// The kernel prints addresses as words in the machine's byte order; the order of little endian machines is read here.
fn is_loopback(address: &str) -> bool {
    match address.len() {
        8 => address.ends_with("7F"),
        _ => {
            address == "00000000000000000000000001000000"
                || address.starts_with("0000000000000000FFFF0000") && address.ends_with("7F")
        }
    }
}

/// Ports that processes named for SSH's server listen on, in this network namespace.
fn listening(proc: &Path) -> Vec<u16> {
    let tables =
        ["self/net/tcp", "self/net/tcp6"].map(|table| fs::read_to_string(proc.join(table)).unwrap_or_default());
    let listeners: Vec<Listener> = tables.iter().flat_map(|table| parse_listeners(table)).collect();
    let servers = fs::read_dir(proc).into_iter().flatten().flatten().filter(|entry| is_server(proc, &entry.path()));
    let inodes: BTreeSet<u64> = servers.flat_map(|entry| socket_inodes(&entry.path())).collect();
    listeners.iter().filter(|listener| inodes.contains(&listener.inode)).map(|listener| listener.port).collect()
}

/// A server itself, not its process for a session: what that one listens on are its user's forwarded ports.
fn is_server(proc: &Path, process: &Path) -> bool {
    let named = |process: &Path| {
        let name = fs::read_to_string(process.join("comm")).unwrap_or_default();
        SERVERS.contains(&name.trim_end())
    };
    named(process) && !parent(process).is_some_and(|parent| named(&proc.join(parent)))
}

/// The parent's id, from `/proc/PID/stat`; the name before it may hold blanks and brackets.
fn parent(process: &Path) -> Option<String> {
    let stat = fs::read_to_string(process.join("stat")).ok()?;
    stat.rsplit_once(") ")?.1.split(' ').nth(1).map(str::to_owned)
}

fn socket_inodes(process: &Path) -> Vec<u64> {
    let inode = |entry: fs::DirEntry| {
        let target = fs::read_link(entry.path()).ok()?;
        target.to_str()?.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
    };
    fs::read_dir(process.join("fd")).into_iter().flatten().flatten().filter_map(inode).collect()
}
