//! The firewall: what the policy plugin asked for, beside what the operator had.

use std::time::Duration;

use anyhow::{Result, ensure};

use super::stage::Stage;
use crate::wait_for;

/// `ufw status` on each server, and ports tried from outside.
pub fn rules(stage: &mut Stage) -> Result<String> {
    for server in &stage.servers {
        let name = server.machine.name();
        wait_for("the firewall's rules", Duration::from_secs(30), || {
            let status = server.machine.run("ufw", &["status"])?.success("ufw status")?;
            let has =
                |port: &str, action: &str| status.lines().any(|line| line.starts_with(port) && line.contains(action));
            ensure!(status.contains("Status: active"), "{name}: {status}");
            ensure!(has("51820/udp", "ALLOW"), "{name}: WireGuard's port is not open: {status}");
            ensure!(
                has("22/tcp", "ALLOW") && status.contains("operator: ssh"),
                "{name}: the operator's rule is gone: {status}"
            );
            ensure!(
                has("8081/tcp", "DENY") && has("9100/tcp", "ALLOW"),
                "{name}: the operator's rules changed: {status}"
            );
            Ok(())
        })?;
    }
    let asked = stage.servers[0].machine.run("ufw", &["status"])?.success("ufw status")?;
    ensure!(
        asked.lines().any(|line| line.starts_with("8080/tcp on wg0")),
        "the port of api is not open on wg0: {asked}"
    );
    let outside = stage.servers[0].machine.address().to_string();
    let try_port = |port: &str| {
        stage.outsider.run("curl", &["-sS", "-m", "2", "-o", "/dev/null", &format!("http://{outside}:{port}/")])
    };
    ensure!(try_port("22")?.status.success(), "port 22 is closed from outside");
    ensure!(!try_port("9999")?.status.success(), "port 9999 is open from outside, and nobody asked for it");
    ensure!(!try_port("8080")?.status.success(), "port 8080 is open from outside the mesh");
    let through = stage.servers[3]
        .machine
        .run("curl", &["-fsS", "-m", "5", &format!("http://{}:8080/", stage.servers[0].mesh_address()?)])?;
    ensure!(through.status.success(), "port 8080 is closed inside the mesh: {}", through.all());
    let again = stage.servers[0].agent_json(&["plan"])?;
    let steps = again["executors"]["firewall"]["steps"].as_array().map_or(0, Vec::len);
    ensure!(steps == 0, "the plan is not at rest: {again}");
    Ok("51820/udp and 8080/tcp on wg0 added; allow 22, deny 8081, allow 9100 kept; from outside 22 opens, 8080 and 9999 do not".to_owned())
}
