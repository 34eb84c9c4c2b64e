//! A start that lacks something: the tunnel comes up first, the rest is tried again.

use std::time::Duration;

use anyhow::{Result, ensure};
use servos_lab::{Daemon, MeshLab, Server, wait_for};

/// In the place of the status socket something that cannot be removed.
fn block_socket(server: &Server) -> Result<()> {
    server.machine.sh("rm -f /run/servos/agent.sock && mkdir -p /run/servos/agent.sock/taken")?.success("mkdir")?;
    Ok(())
}

#[test]
fn an_agent_without_its_socket_carries_packets_and_opens_it_later() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let mut first = mesh.server("s1")?;
    let second = mesh.server("s2")?;
    let address = first.mesh_address()?;
    let ping = || second.machine.run("ping", &["-n", "-c", "1", "-W", "2", &address])?.success("ping").map(drop);
    wait_for("the tunnel", Duration::from_secs(60), ping)?;

    first.kill_agent()?;
    block_socket(&first)?;
    first.begin_agent()?;
    wait_for("the tunnel of an agent that still starts", Duration::from_secs(60), ping)?;
    wait_for("the word of its log", Duration::from_secs(60), || {
        let log = first.agent.as_ref().map(Daemon::log).unwrap_or_default();
        ensure!(log.contains("nothing else; tried again") && log.contains("cannot listen on"), "{log}");
        Ok(())
    })?;
    let status = first.agent(&["status"])?;
    ensure!(status.status.code() == Some(1), "{}", status.all());

    // Nobody answers, and yet there is an agent.
    let refused = first.agent(&["decommission", "--yes"])?;
    ensure!(refused.stderr.contains("still runs"), "decommissioned under a running agent: {}", refused.all());
    ping()?;

    first.machine.sh("rm -r /run/servos/agent.sock")?.success("rm")?;
    first.wait_until_up()?;
    ping()
}
