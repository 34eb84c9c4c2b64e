//! Every server reaches every other.

use anyhow::{Result, ensure};

use super::stage::Stage;

/// `ping` from each to each, by mesh address.
pub fn every_pair(stage: &mut Stage) -> Result<String> {
    let mut pairs = 0;
    let mut slowest: f64 = 0.0;
    for from in &stage.servers {
        for to in &stage.servers {
            if from.machine.name() == to.machine.name() {
                continue;
            }
            let address = to.mesh_address()?;
            let output = from.machine.run("ping", &["-n", "-c", "2", "-i", "0.2", "-W", "5", &address])?;
            let text = output.success(&format!("ping {} → {}", from.machine.name(), to.machine.name()))?;
            ensure!(text.contains(" 0% packet loss"), "{text}");
            let average = text.rsplit_once("rtt").and_then(|(_, times)| times.split('/').nth(4)?.parse().ok());
            slowest = slowest.max(average.unwrap_or(0.0));
            pairs += 1;
        }
    }
    Ok(format!("{pairs} of {pairs} pairs answer ping, slowest average {slowest:.2} ms"))
}

/// The WireGuard project's own tool sees the interface, its peers and their handshakes.
pub fn wg_show(stage: &mut Stage) -> Result<String> {
    let mut handshakes = 0;
    for server in &stage.servers {
        let text = server.machine.run("wg", &["show", "wg0", "latest-handshakes"])?.success("wg show")?;
        let done = text.lines().filter(|line| !line.ends_with("\t0")).count();
        ensure!(done == stage.servers.len() - 1, "{}: {done} handshakes: {text}", server.machine.name());
        handshakes += done;
    }
    let port = stage.servers[0].machine.run("wg", &["show", "wg0", "listen-port"])?.success("wg show")?;
    Ok(format!("{handshakes} handshakes on {} servers, listen port {}", stage.servers.len(), port.trim()))
}
