//! Ending and decommissioning: the host is as it was before.

use std::time::Duration;

use anyhow::{Result, ensure};
use servos_lab::{MeshLab, Server, wait_for};

fn has_interface(server: &Server) -> Result<bool> {
    Ok(server.machine.run("ip", &["link", "show", "dev", "wg0"])?.status.success())
}

fn has_route_behind(server: &Server) -> Result<bool> {
    let routes = server.machine.run("ip", &["route", "show", "type", "unreachable"])?.success("ip route show")?;
    Ok(routes.contains("100.64.0.0/10"))
}

#[test]
fn decommissioning_puts_everything_back() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let mut server = mesh.bare("s1")?;
    let machine = &server.machine;
    machine.sh("ufw allow 22/tcp && ufw --force enable")?.success("ufw")?;
    // Where the routes of a closed interface do not count.
    machine.run("sysctl", &["-w", "net.ipv4.conf.all.ignore_routes_with_linkdown=1"])?.success("sysctl")?;
    let resolver = machine.read("/etc/resolv.conf")?;
    let rules = machine.run("ufw", &["show", "added"])?.success("ufw show added")?;
    mesh.commission(&mut server)?;
    wait_for("our rule", Duration::from_secs(30), || {
        let now = server.machine.run("ufw", &["show", "added"])?.success("ufw show added")?;
        ensure!(now.contains("51820/udp"), "{now}");
        Ok(())
    })?;
    ensure!(server.machine.read("/etc/resolv.conf")? != resolver, "the resolver was not set");

    // An agent in the foreground is its operator's to end.
    let running = server.agent(&["decommission", "--yes"])?;
    ensure!(running.stderr.contains("still runs"), "decommissioned under a running agent: {}", running.all());
    server.agent.take().expect("it runs").stop()?;
    ensure!(server.machine.read("/etc/resolv.conf")? == resolver, "SIGTERM left the resolver changed");
    ensure!(has_interface(&server)?, "without it, what is for the mesh would leave by the default route");
    ensure!(has_route_behind(&server)?, "it would all the same: the interface's route does not count");
    server.agent(&["decommission", "--yes"])?.success("decommission")?;
    ensure!(!has_interface(&server)?, "the interface is left behind");
    ensure!(!has_route_behind(&server)?, "the route behind the interface's is left behind");

    ensure!(server.machine.run("ufw", &["show", "added"])?.stdout == rules, "rules are left behind");
    ensure!(!server.machine.sh("ls /var/lib/servos/private-key")?.status.success(), "the key is left behind");
    let list = mesh.control(&["server", "list", "--organisation", "acme", "--json"])?.success("server list")?;
    ensure!(!list.contains("\"s1\""), "the control plane still knows it: {list}");
    let again = server.agent(&["decommission", "--yes"])?;
    ensure!(again.status.code() == Some(1) && again.stderr.contains("not commissioned"), "{}", again.all());
    Ok(())
}

#[test]
fn traefiks_folder_missing_then_there_then_read_only() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let server = mesh.server("s1")?;
    mesh.apply(&failover_of("api"))?;
    wait_for("the word of `status`", Duration::from_secs(30), || {
        let errors = server.executor("failover")?["errors"].to_string();
        ensure!(errors.contains("/etc/traefik/dynamic"), "{errors}");
        Ok(())
    })?;
    // The other executors do not mind.
    server.machine.run("getent", &["hosts", "api"])?.success("getent hosts api")?;
    server.machine.sh("mkdir -p /etc/traefik/dynamic")?.success("mkdir")?;
    let has = |name: &str| server.machine.sh(&format!("grep -q {name} {FILE}"))?.success("grep").map(drop);
    wait_for("the file", Duration::from_secs(90), || has("api"))?;

    let before = server.machine.read(FILE)?;
    let folder = "/etc/traefik/dynamic";
    server
        .machine
        .sh(&format!("mount --bind {folder} {folder} && mount -o remount,ro,bind {folder}"))?
        .success("mount")?;
    mesh.apply(&failover_of("web"))?;
    wait_for("the word of `status`", Duration::from_secs(30), || {
        let errors = server.executor("failover")?["errors"].to_string();
        ensure!(errors.contains("is its folder read-only?"), "{errors}");
        Ok(())
    })?;
    ensure!(server.machine.read(FILE)? == before, "the file is not what it was");
    server.machine.run("getent", &["hosts", "web"])?.success("getent hosts web")?;
    server.machine.sh(&format!("umount {folder}"))?.success("umount")?;
    wait_for("the file", Duration::from_secs(90), || has("web"))
}

/// Traefik's file.
const FILE: &str = "/etc/traefik/dynamic/servos-mesh.yml";

/// A resource with failover on s1.
fn failover_of(name: &str) -> String {
    format!(
        "resources:\n  - name: {name}\n    protocol: http\n    port: 80\n    enable_mesh_failover: true\n    \
         instances:\n      - {{ server: s1, port: 8080 }}\n"
    )
}
