//! A mesh that changes: servers are told what changed, not all there is, and begin with the newest after a restart.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use servos_lab::{MeshLab, Server, wait_for};

/// What `status` says of the mesh: peers and services.
fn mesh_of(status: &Value) -> (u64, u64) {
    let number = |name: &str| status["mesh"][name].as_u64().unwrap_or(u64::MAX);
    (number("peers"), number("services"))
}

/// How often the mesh changed as a whole, and how often by a delta.
fn updates(server: &Server) -> Result<(u64, u64)> {
    let status = server.status()?;
    let updates = &status["control"]["updates"];
    let number = |kind: &str| updates[kind].as_u64().with_context(|| format!("no {kind} in {updates}"));
    Ok((number("whole")?, number("delta")?))
}

fn wait_until(server: &Server, mesh: (u64, u64)) -> Result<Value> {
    let mut status = Value::Null;
    wait_for("the change of the mesh", Duration::from_secs(60), || {
        status = server.status()?;
        ensure!(mesh_of(&status) == mesh, "{:?} instead of {mesh:?}", mesh_of(&status));
        Ok(())
    })?;
    Ok(status)
}

fn reaches(server: &Server, address: &str) -> Result<()> {
    server.machine.run("ping", &["-n", "-c", "2", "-W", "5", address])?.success("ping").map(drop)
}

#[test]
fn servers_join_and_leave_by_deltas_and_a_restart_begins_with_the_newest() -> Result<()> {
    let mut mesh = MeshLab::start(false)?;
    let mut first = mesh.server("s1")?;
    let second = mesh.server("s2")?;
    let third = mesh.server("s3")?;
    wait_until(&first, (2, 0))?;
    let (second_address, third_address) = (second.mesh_address()?, third.mesh_address()?);
    reaches(&first, &second_address)?;
    reaches(&first, &third_address)?;
    let (whole, joined) = updates(&first)?;
    ensure!(whole == 1 && joined >= 2, "{whole} whole states and {joined} deltas for two servers that joined");

    let instance = |name: &str| {
        format!(
            "resources:\n  - {{ name: {name}, protocol: tcp, port: 80, instances: [ {{ server: s2, port: 80 }} ] }}\n"
        )
    };
    mesh.apply(&instance("api"))?;
    wait_until(&first, (2, 1))?;
    mesh.control(&["server", "delete", "s3", "--organisation", "acme", "--yes"])?.success("server delete")?;
    let before = wait_until(&first, (1, 1))?;
    let (whole, left) = updates(&first)?;
    ensure!(whole == 1 && left >= joined + 2, "{whole} whole states and {left} deltas at the end");
    ensure!(before["control"]["last_update"]["kind"] == "delta", "{}", before["control"]);
    ensure!(reaches(&first, &third_address).is_err(), "who left is still reached");
    reaches(&first, &second_address)?;
    let metrics = first.agent(&["metrics"])?.success("metrics")?;
    let line = format!("servos_mesh_updates_total{{kind=\"delta\"}} {left}");
    ensure!(metrics.contains(&line), "{line} is not in the metrics");

    // A restart, and nobody there to ask.
    let kept = first.machine.sh("stat -c %s /var/lib/servos/mesh-state.deltas")?.success("stat")?;
    ensure!(kept.trim().parse::<u64>()? > 0, "no delta is on disk");
    mesh.stop_control()?;
    first.kill_agent()?;
    first.start_agent()?;
    let after = first.status()?;
    ensure!(after["mesh"]["revision"] == before["mesh"]["revision"], "{} {}", after["mesh"], before["mesh"]);
    ensure!(mesh_of(&after) == (1, 1), "{}", after["mesh"]);
    reaches(&first, &second_address)?;
    first.machine.run("getent", &["hosts", "api"])?.success("the service's name")?;

    // The control plane comes back without memory of what changed: then the whole is sent, once.
    mesh.apply(&instance("db"))?;
    mesh.start_control()?;
    wait_for("the change of the resources", Duration::from_secs(120), || {
        first.machine.run("getent", &["hosts", "db"])?.success("the new service's name").map(drop)
    })?;
    ensure!(updates(&first)?.0 == 1, "{} whole states", updates(&first)?.0);
    Ok(())
}
