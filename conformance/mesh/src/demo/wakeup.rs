//! The wakeup filter: what is for nobody never reaches the daemon.

use anyhow::{Context, Result, ensure};

use super::stage::Stage;

/// Packets in the test.
const PACKETS: u64 = 500;

/// Sends to an address that nobody has, and to one that somebody has.
pub fn nobody(stage: &mut Stage) -> Result<String> {
    let server = &stage.servers[0];
    let detail = server.executor("tunnel")?["detail"].clone();
    if detail["wakeup"]["attached"] != serde_json::Value::Bool(true) {
        return Ok(format!("eBPF is not to be had here, works without: {}", detail["wakeup"]["reason"]));
    }
    let send = |address: &str| -> Result<()> {
        let script = format!(
            "import socket\ns = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)\n\
             for _ in range({PACKETS}):\n    try: s.sendto(b'x', ('{address}', 9))\n    except OSError: pass\n"
        );
        server.machine.run("python3", &["-c", &script])?.success("python3").map(drop)
    };
    let read = || -> Result<(u64, u64)> {
        let detail = server.executor("tunnel")?["detail"].clone();
        let dropped =
            detail["wakeup"]["counters"]["unknown"].as_u64().with_context(|| format!("no counter: {detail}"))?;
        let woken = detail["counters"]["tun_reads"].as_u64().with_context(|| format!("no counter: {detail}"))?;
        Ok((dropped, woken))
    };
    let (dropped_before, woken_before) = read()?;
    send("100.99.1.2")?;
    let (dropped, woken) = read()?;
    ensure!(dropped - dropped_before >= PACKETS, "only {} counted as unknown", dropped - dropped_before);
    let to_nobody = woken - woken_before;
    ensure!(to_nobody < PACKETS / 10, "the daemon saw {to_nobody} packets");
    send(&stage.servers[1].mesh_address()?)?;
    let (_, woken_after) = read()?;
    ensure!(woken_after - woken >= PACKETS / 2, "packets to a peer do not reach the daemon");
    Ok(format!(
        "{PACKETS} to nobody: {} ended in the kernel, the daemon read {to_nobody}; {PACKETS} to a peer: it read {}",
        dropped - dropped_before,
        woken_after - woken
    ))
}
