//! Joining and leaving: fifty servers come and go under a stream between two others.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::stage::Stage;
use crate::wait_for;

/// Servers that come and go.
const CROWD: usize = 50;

/// 1,000 packets a second from s3 to s4, counted by iperf3, while fifty servers are commissioned and decommissioned by
/// the real program, each with its own settings and state.
pub fn fifty(stage: &mut Stage) -> Result<String> {
    let crowd = stage.mesh.bare("crowd")?;
    let uses = CROWD.to_string();
    let token = stage.mesh.token(&["--uses", &uses])?;
    let to = stage.servers[3].mesh_address()?;
    let mut receiver = stage.servers[3].machine.spawn("iperf3", "iperf3", &["-s", "-1", "-B", &to], "")?;
    let peers = |expected: usize| -> Result<()> {
        for server in &stage.servers {
            let status = server.status()?;
            ensure!(
                status["mesh"]["peers"] == expected,
                "{}: {} peers",
                server.machine.name(),
                status["mesh"]["peers"]
            );
        }
        Ok(())
    };
    let bandwidth = (1_000 * 200 * 8).to_string();
    let seconds = "25";
    let allow = stage.servers[3].machine.run("ufw", &["allow", "in", "on", "wg0", "to", "any", "port", "5201"])?;
    allow.success("ufw allow 5201")?;
    let arguments = ["-c", &to, "-u", "-l", "200", "-b", &bandwidth, "-t", seconds, "--json", "--get-server-output"];
    wait_for("iperf3", Duration::from_secs(10), || {
        stage.servers[3].machine.sh("ss -tln | grep -q :5201")?.success("iperf3 -s").map(drop)
    })?;
    let mut stream = stage.servers[2].machine.spawn("stream", "iperf3", &arguments, "")?;
    for number in 0..CROWD {
        let config = format!("/etc/servos/crowd-{number}.toml");
        crowd.machine.write(&config, &format!("[paths]\nstate = \"/var/lib/servos/crowd-{number}\"\n"))?;
        let name = format!("crowd-{number}");
        let agent = &stage.mesh.programs.agent;
        let joined = crowd.machine.run_with_input(
            agent,
            &["--config", &config, "commission", "--name", &name, "--no-start"],
            &token,
        )?;
        joined.success(&format!("commission {name}"))?;
    }
    wait_for("fifty more peers on every server", Duration::from_secs(30), || peers(3 + CROWD))?;
    for number in 0..CROWD {
        let config = format!("/etc/servos/crowd-{number}.toml");
        let agent = &stage.mesh.programs.agent;
        let left = crowd.machine.run(agent, &["--config", &config, "decommission", "--yes", "--no-cleanup"])?;
        left.success(&format!("decommission crowd-{number}"))?;
    }
    wait_for("fifty peers fewer on every server", Duration::from_secs(30), || peers(3))?;
    let still = stream.is_running();
    wait_for("end of the stream", Duration::from_secs(60), || {
        ensure!(!stream.is_running(), "it still runs");
        Ok(())
    })?;
    receiver.stop()?;
    let text = stream.log();
    let report: Value = serde_json::from_str(&text).with_context(|| format!("no JSON: {text}"))?;
    let sum = &report["end"]["sum"];
    let (lost, packets) = (sum["lost_packets"].as_u64(), sum["packets"].as_u64());
    ensure!(still, "the stream ended before the last server had left: make it longer");
    ensure!(lost == Some(0) && packets > Some(20_000), "lost {lost:?} of {packets:?} packets");
    Ok(format!("{CROWD} commissioned, {CROWD} decommissioned under {} packets: 0 lost", packets.unwrap_or(0)))
}
