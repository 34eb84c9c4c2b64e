//! What an operator asks of a running agent about its plugins: `plugin list`, `show`, `reset`, the metrics; and signatures.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servos_hostile_guests::answers::a_records;
use servos_hostile_guests::code::{Code, Point};
use servos_lab::{MeshLab, Server, wait_for};

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn a_plugin_is_shown_reset_and_trusted() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let mut server = mesh.server("s1")?;
    let address = server.mesh_address()?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("canary.wasm");
    let own: std::net::Ipv4Addr = address.parse()?;
    // Its own address for A; traps on TXT; passes on the rest.
    let question = "(if (i32.eq (local.get $type) (i32.const 4)) (then unreachable))
        (select (i32.const 1024) (i32.const 16) (i32.eqz (local.get $type)))";
    std::fs::write(&file, Code::new(Point::Naming, question).answer(a_records(1, &[own.octets()])).component())?;
    server.drop_plugin(&file, "10-canary.wasm")?;
    wait_for("the plugin's answer", PATIENCE, || asked(&server, &address, "canary A", "NOERROR"))?;

    wait_for("its quarantine", PATIENCE, || {
        asked(&server, &address, "canary TXT", "SERVFAIL")?;
        let canary = server.agent_json(&["plugin", "show", "10-canary"])?;
        ensure!(canary["state"]["quarantined"].is_string(), "{canary}");
        Ok(())
    })?;
    let shown = server.agent(&["plugin", "show", "10-canary"])?.success("plugin show")?;
    for part in ["world     servos:plugin/naming-plugin@0.1.0", "faults    5 (trap 5)", "memory    256.0 KiB", "took "]
    {
        ensure!(shown.contains(part), "{part:?} is not in {shown}");
    }
    let listed = server.agent(&["plugin", "list"])?.success("plugin list")?;
    ensure!(listed.contains("quarantined") && listed.contains("directory"), "{listed}");
    let metrics = server.agent(&["metrics"])?.success("metrics")?;
    for line in [
        "servos_plugin_running{plugin=\"10-canary\"} 0",
        "servos_plugin_faults_by_kind_total{plugin=\"10-canary\",kind=\"trap\"} 5",
        "servos_plugin_memory_peak_bytes{plugin=\"10-canary\"} 262144",
    ] {
        ensure!(metrics.lines().any(|have| have == line), "{line} is not in {metrics}");
    }
    // What it answered before holds until the mesh changes; other names are as if it were not there.
    asked(&server, &address, "other A", "NXDOMAIN").context("set aside")?;

    let bundled = server.agent(&["plugin", "show", "dns-naming"])?.success("plugin show")?;
    ensure!(bundled.contains("version   0."), "{bundled}");

    let reset = server.agent(&["plugin", "reset", "10-canary"])?.success("plugin reset")?;
    ensure!(reset.contains("plugin 10-canary is running"), "{reset}");
    wait_for("an answer after the reset", PATIENCE, || asked(&server, &address, "other A", "NOERROR"))?;
    for command in ["show", "reset"] {
        let unknown = server.agent(&["plugin", command, "nobody"])?;
        ensure!(unknown.status.code() == Some(1) && unknown.stderr.contains("no plugin"), "{}", unknown.all());
    }
    ensure!(server.agent(&["plugin", "reset"])?.status.code() == Some(2), "no name is wrong usage");

    // The same file, once signatures are required.
    let key = "1f2h6xDWVUwHSyuuOwJPdTDDpXqMB9p3bkvXTHRPhT8=";
    server
        .machine
        .write("/etc/servos/agent.toml", &format!("[plugins]\nrequire_signed = true\ntrusted_keys = [\"{key}\"]\n"))?;
    server.kill_agent()?;
    server.start_agent()?;
    let problems = server.status()?["problems"].to_string();
    ensure!(problems.contains("10-canary: refused: is not signed"), "{problems}");
    asked(&server, &address, "canary A", "NXDOMAIN").context("unsigned")
}

/// Asks for a name of the mesh's, and a type of record.
fn asked(server: &Server, address: &str, question: &str, status: &str) -> Result<()> {
    let (name, record) = question.split_once(' ').context("a name and a type")?;
    let (at, name) = (format!("@{address}"), format!("{name}.mesh.internal"));
    let printed = server.machine.run("dig", &[&at, &name, record, "+time=5", "+tries=1"])?.success("dig")?;
    ensure!(printed.contains(&format!("status: {status}")), "{question} is not {status}: {printed}");
    Ok(())
}
