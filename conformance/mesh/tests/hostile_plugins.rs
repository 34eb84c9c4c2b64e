//! A real agent and every hostile guest: it lives on, names go on being answered, and its status says what was wrong.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servos_hostile_guests::{Guest, InAgent};
use servos_lab::{MeshLab, Server, start_http_instance, wait_for};

/// `api` runs on the only server: every guest errs where it does.
const RESOURCES: &str = "resources:
  - name: api
    protocol: http
    port: 8080
    enable_mesh_failover: true
    instances: [ { server: s1, port: 8080 } ]
";

const PATIENCE: Duration = Duration::from_secs(120);

#[test]
fn every_hostile_guest_is_named_and_harms_nobody() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let mut server = mesh.server("s1")?;
    let _http = start_http_instance(&server.machine, 8080)?;
    mesh.apply(RESOURCES)?;
    let address = server.mesh_address()?;
    wait_for("the service's name", PATIENCE, || api_is(&server, &address))?;
    let folder = tempfile::tempdir()?;

    let guests = servos_hostile_guests::all();
    for guest in &guests {
        let name = drop_in(&server, folder.path(), guest)?;
        told(&server, &address, guest, &name).with_context(|| guest.fault)?;
        api_is(&server, &address).with_context(|| format!("{}: afterwards", guest.fault))?;
        server.machine.sh(&format!("rm /etc/servos/plugins.d/{name}.wasm"))?.success("rm")?;
    }

    // Many at once, as many as are loaded.
    let names: Vec<_> =
        guests.iter().rev().take(32).map(|guest| drop_in(&server, folder.path(), guest)).collect::<Result<_>>()?;
    wait_for("all of them in the status", PATIENCE, || {
        ask(&server, &address)?;
        names.iter().try_for_each(|name| server.plugin(name).map(drop))
    })?;
    api_is(&server, &address).context("among many")?;
    server.machine.sh("rm /etc/servos/plugins.d/*")?.success("rm")?;
    wait_for("a status without problems", PATIENCE, || {
        let status = server.status()?;
        ensure!(status["healthy"] == true, "{}", status["problems"]);
        Ok(())
    })?;
    ensure!(server.agent.as_mut().is_some_and(|agent| agent.is_running()), "the agent is gone");
    Ok(())
}

/// Drops a guest into the agent's folder; says the plugin's name.
fn drop_in(server: &Server, folder: &std::path::Path, guest: &Guest) -> Result<String> {
    let name = format!("10-{}", guest.fault);
    let path = folder.join("guest.wasm");
    std::fs::write(&path, &guest.wasm)?;
    server.drop_plugin(&path, &format!("{name}.wasm"))?;
    Ok(name)
}

/// Has the plugin asked until the status says what it should. What it is asked for, somebody answers all along.
fn told(server: &Server, address: &str, guest: &Guest, name: &str) -> Result<()> {
    wait_for(&format!("{:?}", guest.in_agent), PATIENCE, || {
        ask(server, address)?;
        let plugin = server.plugin(name)?;
        match guest.in_agent {
            InAgent::Refused(why) => {
                let problems = server.status()?["problems"].to_string();
                ensure!(problems.contains(name) && problems.contains(why), "{why:?} is not in {problems}");
            }
            InAgent::Faults(what) => ensure!(plugin.to_string().contains(what), "{what:?} is not in {plugin}"),
            InAgent::LeftOut(why) => {
                let notes = server.executor("firewall")?["notes"].to_string();
                ensure!(notes.contains(why), "{why:?} is not in {notes}");
            }
            InAgent::Unseen => {
                ensure!(plugin["state"] == "running" && plugin["faults"] == 0, "{plugin}");
                ensure!(plugin["calls"].as_u64() > Some(1), "not asked yet: {plugin}");
            }
        }
        Ok(())
    })
}

/// Every type of record of `api`; the plugin may fail at any, but where the server is, is known.
fn ask(server: &Server, address: &str) -> Result<()> {
    let (at, name) = (format!("@{address}"), "api.mesh.internal");
    let questions = ["A", "AAAA", "SRV", "PTR", "TXT", "MX"].map(|record| [name, record]).concat();
    let arguments = [&[at.as_str(), "+time=5", "+tries=1"][..], &questions].concat();
    server.machine.run("dig", &arguments)?;
    api_is(server, address)
}

/// `api` is found at that address, by the machine's own resolver.
fn api_is(server: &Server, address: &str) -> Result<()> {
    let found = server.machine.run("getent", &["hosts", "api"])?.success("getent hosts api")?;
    ensure!(found.starts_with(address), "api is {found:?}, not {address}");
    Ok(())
}
