//! The wakeup filter: what is for nobody never reaches the daemon.

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::stage::Stage;
use crate::mesh::Server;

/// Packets in the test.
const PACKETS: u64 = 500;

/// What the filter and the daemon have counted.
struct Seen {
    /// Packets to nobody that the filter ended.
    ended_in_kernel: u64,
    /// Packets to nobody that reached the daemon.
    to_nobody: u64,
    /// Packets that the daemon sealed and sent.
    to_peers: u64,
}

impl Seen {
    fn of(server: &Server) -> Result<Self> {
        let detail = server.executor("tunnel")?["detail"].clone();
        let counter = |pointer: &str| {
            detail.pointer(pointer).and_then(Value::as_u64).with_context(|| format!("no {pointer}: {detail}"))
        };
        Ok(Self {
            ended_in_kernel: counter("/wakeup/counters/unknown")?,
            to_nobody: counter("/counters/drops/unknown_address")?,
            to_peers: counter("/counters/tx_packets")?,
        })
    }
}

/// Sends to an address that nobody has, and to one that somebody has.
pub fn nobody(stage: &mut Stage) -> Result<String> {
    let server = &stage.servers[0];
    let detail = server.executor("tunnel")?["detail"].clone();
    if detail["wakeup"]["attached"] != Value::Bool(true) {
        return Ok(format!("eBPF is not to be had here, works without: {}", detail["wakeup"]["reason"]));
    }
    let send = |address: &str| -> Result<()> {
        let script = format!(
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             for _ in range({PACKETS}):\n    try: s.sendto(b'x', ('{address}', 9))\n    except OSError: pass\n"
        );
        server.machine.run("python3", &["-c", &script])?.success("python3").map(drop)
    };
    let before = Seen::of(server)?;
    send("100.99.1.2")?;
    let after = Seen::of(server)?;
    let ended = after.ended_in_kernel - before.ended_in_kernel;
    ensure!(ended >= PACKETS, "only {ended} of {PACKETS} ended in the kernel");
    // The servers' own traffic reaches the daemon meanwhile, but none of it is to nobody.
    let to_nobody = after.to_nobody - before.to_nobody;
    ensure!(to_nobody == 0, "the daemon saw {to_nobody} packets to nobody");
    send(&stage.servers[1].mesh_address()?)?;
    let to_a_peer = Seen::of(server)?.to_peers - after.to_peers;
    ensure!(to_a_peer >= PACKETS / 2, "of {PACKETS} packets to a peer, {to_a_peer} reached the daemon");
    Ok(format!(
        "{PACKETS} to nobody: {ended} ended in the kernel, the daemon saw none; {PACKETS} to a peer: it sent {to_a_peer}"
    ))
}
