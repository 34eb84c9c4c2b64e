//! From `resource apply` to a changed answer on every server, asked by `dig`.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};

use super::Comparison;
use crate::mesh::{MeshLab, Server};
use crate::wait_for;

const ROUNDS: usize = 5;

pub(super) fn measure(mesh: &MeshLab, servers: &[Server]) -> Result<Vec<Comparison>> {
    let mut applied = Vec::new();
    let mut nothing = Vec::new();
    for round in 0..ROUNDS {
        let target = &servers[round % 2];
        let name = target.machine.name();
        let yaml = format!(
            "resources:\n  - {{ name: moving, protocol: tcp, port: 80, instances: [ {{ server: {name}, port: 80 }} ] }}\n"
        );
        mesh.control.write("/etc/moving.yaml", &yaml)?;
        let expected = target.mesh_address()?;
        let began = Instant::now();
        mesh.control(&["resource", "apply", "-f", "/etc/moving.yaml", "--organisation", "acme"])?.success("apply")?;
        let command = began.elapsed();
        for server in servers {
            wait_for("the changed answer", Duration::from_secs(30), || {
                let own = server.mesh_address()?;
                let found = server.machine.run("dig", &["+short", &format!("@{own}"), "moving.mesh.internal"])?;
                ensure!(found.stdout.trim() == expected, "{}", found.all());
                Ok(())
            })?;
        }
        applied.push(began.elapsed().as_secs_f64());
        nothing.push(command.as_secs_f64());
    }
    Ok(vec![Comparison::against(
        "from `resource apply` to the answer on all four servers",
        "s",
        &applied,
        "the command alone",
        &nothing,
    )?])
}
