//! Without the control plane: an agent that is killed comes back by itself.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::stage::Stage;
use crate::wait_for;

/// Stops the control plane, SIGKILLs an agent, starts it again.
pub fn without_control(stage: &mut Stage) -> Result<String> {
    stage.mesh.stop_control()?;
    stage.servers[3].kill_agent()?;
    // Between death and return the host's resolver must not be broken.
    let outside = stage.servers[3].machine.run("getent", &["hosts", "outside.corp.test"])?;
    ensure!(outside.stdout.contains("192.0.2.80"), "the resolver is broken while the agent is dead: {}", outside.all());
    // Nor may packets for the mesh leave in clear.
    let peer = stage.servers[0].mesh_address()?;
    let way = stage.servers[3].machine.run("ip", &["route", "get", &peer])?.success("ip route get")?;
    ensure!(way.contains("dev wg0"), "with the agent dead, packets for {peer} go another way: {way}");
    stage.servers[3].start_agent()?;
    let server = &stage.servers[3];
    // First from the peer, who seals for the agent that is gone unless it was told.
    let back = stage.servers[0].machine.run("ping", &["-n", "-c", "2", "-W", "5", &server.mesh_address()?])?;
    back.success("ping to the restarted server")?;
    server.machine.run("ping", &["-n", "-c", "2", "-W", "5", &peer])?.success("ping after the restart")?;
    server.machine.run("getent", &["hosts", "postgres"])?.success("getent hosts postgres")?;
    wait_for("http://api by failover", Duration::from_secs(20), || {
        let answer = server.machine.run("curl", &["-fsS", "-m", "5", "http://api/"])?;
        answer.success("curl http://api").map(drop)
    })?;
    let status = server.status()?;
    let why = status["control"]["error"].as_str().unwrap_or_default().to_owned();
    ensure!(why.contains("cannot reach the control plane"), "status does not name the control plane: {status}");
    stage.mesh.start_control()?;
    wait_for("the control plane's return", Duration::from_secs(90), || {
        ensure!(server.status()?["control"]["error"].is_null(), "still an error");
        Ok(())
    })?;
    Ok("ping both ways, postgres, http://api; while it was dead names of the upstream answered and the \
        mesh stayed closed; status said why"
        .to_owned())
}
