//! Plugins of third parties: a good one and a broken one.

use std::time::Duration;

use anyhow::{Context, Result, ensure};

use super::stage::Stage;
use crate::wait_for;

/// The example of `sdk/examples` on one server; then rubbish beside it.
pub fn drop_in(stage: &mut Stage) -> Result<String> {
    let (server, other) = (&stage.servers[0], &stage.servers[1]);
    let before = server.machine.run("getent", &["hosts", "canary"])?;
    ensure!(!before.status.success(), "canary answers before the plugin is there: {}", before.all());
    server.machine.write("/etc/servos/plugins.d/10-canary.toml", "[settings]\nserver = \"s3\"\n")?;
    server.drop_plugin(&stage.mesh.programs.guests.join("canary-naming.wasm"), "10-canary.wasm")?;
    let expected = stage.servers[2].mesh_address()?;
    let began = std::time::Instant::now();
    wait_for("the plugin's name", Duration::from_secs(30), || {
        let found = server.machine.run("getent", &["hosts", "canary"])?.success("getent hosts canary")?;
        ensure!(found.starts_with(&expected), "canary is {found:?}, not {expected}");
        Ok(())
    })?;
    let seconds = began.elapsed().as_secs_f64();
    let elsewhere = other.machine.run("getent", &["hosts", "canary"])?;
    ensure!(!elsewhere.status.success(), "canary answers on a server without the plugin");
    server.machine.write("/etc/servos/plugins.d/20-broken.wasm", "this is no WebAssembly")?;
    let why = wait_for("a word on the broken plugin", Duration::from_secs(30), || {
        let status = server.status()?;
        let problems = status["problems"].as_array().context("no problems in the status")?;
        let found =
            problems.iter().filter_map(|problem| problem.as_str()).find(|problem| problem.contains("20-broken"));
        found.map(str::to_owned).with_context(|| format!("{problems:?}"))
    })?;
    for name in ["canary", "api", "postgres"] {
        server
            .machine
            .run("getent", &["hosts", name])?
            .success(&format!("getent hosts {name} beside a broken plugin"))?;
    }
    server.machine.sh("rm /etc/servos/plugins.d/20-broken.wasm")?.success("rm")?;
    Ok(format!(
        "canary = {expected} after {seconds:.1} s on one server alone; broken one refused: {}",
        why.chars().take(90).collect::<String>()
    ))
}
