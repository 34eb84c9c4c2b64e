//! One TCP stream between two servers: through the mesh, and through Debian's `wireguard-go` on the same machines.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::Figure;
use crate::daemon::Daemon;
use crate::mesh::Server;
use crate::wait_for;

/// Rounds, ours and theirs in turn; the median counts.
const ROUNDS: usize = 3;

pub(super) fn measure(from: &Server, to: &Server) -> Result<Vec<Figure>> {
    let _devices = [wireguard_go(from, "10.9.0.1")?, wireguard_go(to, "10.9.0.2")?];
    join(from, to)?;
    let address = to.mesh_address()?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(stream(from, to, &address)?);
        theirs.push(stream(from, to, "10.9.0.2")?);
    }
    let (ours, theirs) = (median(ours), median(theirs));
    Ok(vec![Figure::against(
        "one TCP stream through the tunnel (iperf3, cubic)",
        "Gbit/s",
        ours,
        "wireguard-go (Debian)",
        theirs,
    )])
}

fn wireguard_go(server: &Server, address: &str) -> Result<Daemon> {
    let machine = &server.machine;
    let daemon = machine.spawn("wireguard-go", "env", &["WG_PROCESS_FOREGROUND=1", "wireguard-go", "-f", "wgo"], "")?;
    wait_for("wireguard-go", Duration::from_secs(20), || {
        machine.run("wg", &["show", "wgo"])?.success("wg show").map(drop)
    })?;
    machine
        .sh("umask 77; wg genkey > /run/wgo.key; wg set wgo listen-port 51900 private-key /run/wgo.key")?
        .success("wg set")?;
    let up = format!("ip address add {address}/24 dev wgo && ip link set wgo mtu 1420 up");
    machine.sh(&up)?.success("ip")?;
    Ok(daemon)
}

fn join(one: &Server, two: &Server) -> Result<()> {
    for (own, other, allowed) in [(one, two, "10.9.0.2/32"), (two, one, "10.9.0.1/32")] {
        let key = other.machine.run("wg", &["show", "wgo", "public-key"])?.success("wg show")?;
        let endpoint = format!("{}:51900", other.machine.address());
        let arguments = ["set", "wgo", "peer", key.trim(), "allowed-ips", allowed, "endpoint", &endpoint];
        own.machine.run("wg", &arguments)?.success("wg set")?;
    }
    one.machine.run("ping", &["-c", "2", "-W", "5", "10.9.0.2"])?.success("ping through wireguard-go").map(drop)
}

fn stream(from: &Server, to: &Server, address: &str) -> Result<f64> {
    let mut receiver = to.machine.spawn("iperf3", "iperf3", &["-s", "-1", "-B", address], "")?;
    wait_for("iperf3 -s", Duration::from_secs(10), || {
        to.machine.sh("ss -tln | grep -q :5201")?.success("ss").map(drop)
    })?;
    let output = from.machine.run("iperf3", &["-c", address, "-t", "5", "-O", "1", "-C", "cubic", "--json"])?;
    let text = output.success("iperf3")?;
    receiver.stop()?;
    let report: Value = serde_json::from_str(&text)?;
    let bits = report["end"]["sum_received"]["bits_per_second"].as_f64().context("iperf3 gives no figure")?;
    ensure!(bits > 0.0, "nothing went through");
    Ok(bits / 1e9)
}

pub(super) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values[values.len() / 2]
}
