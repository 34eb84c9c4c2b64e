//! A control plane that misbehaves, or that no longer knows us: the mesh goes on, and `status` says why.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servos_lab::{Daemon, MeshLab, Server, wait_for};

/// Answers every request as told: `html`, `huge`, `never` or `busy`. A double: no real control plane does this.
const ODD_SERVER: &str = r#"
import http.server, ssl, sys, time
how = sys.argv[1]
class Handler(http.server.BaseHTTPRequestHandler):
    def answer(self):
        if how == "never": time.sleep(3600)
        self.send_response(503 if how == "busy" else 200)
        if how == "busy": self.send_header("Retry-After", "7")
        self.send_header("Content-Type", "application/vnd.servos.mesh-state" if how == "huge" else "text/html")
        self.send_header("ETag", '"9999"')
        self.end_headers()
        if how == "huge":
            try:
                self.wfile.write(b"\x01\0\0\0")
                for _ in range(100_000): self.wfile.write(b"x" * 65536)
            except OSError: pass
        else: self.wfile.write(b"<html>hello</html>")
    do_GET = do_PUT = answer
    def log_message(self, *a): pass
class Server(http.server.ThreadingHTTPServer): daemon_threads = True
server = Server(("0.0.0.0", 8443), Handler)
context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
context.load_cert_chain(sys.argv[2], sys.argv[3])
server.socket = context.wrap_socket(server.socket, server_side=True)
server.serve_forever()
"#;

fn reach_each_other(servers: &[Server]) -> Result<()> {
    for (from, to) in [(0, 1), (1, 0)] {
        let address = servers[to].mesh_address()?;
        servers[from].machine.run("ping", &["-n", "-c", "2", "-W", "5", &address])?.success("ping")?;
        let name = servers[to].machine.name().to_owned();
        servers[from].machine.run("getent", &["hosts", &name])?.success("getent")?;
    }
    Ok(())
}

fn wait_for_problem(server: &Server, words: &str) -> Result<()> {
    wait_for("the word of `status`", Duration::from_secs(120), || {
        let output = server.agent(&["--json", "status"])?;
        ensure!(output.status.code() == Some(1), "status finds nothing wrong");
        let status: serde_json::Value = serde_json::from_str(&output.stdout)?;
        let error = status["control"]["error"].as_str().context("no error of the control plane")?;
        ensure!(error.contains(words), "{words:?} is not in {error:?}");
        Ok(())
    })
}

#[test]
fn html_huge_never_and_busy() -> Result<()> {
    let mut mesh = MeshLab::start(false)?;
    let servers = [mesh.server("s1")?, mesh.server("s2")?];
    reach_each_other(&servers)?;
    mesh.stop_control()?;
    let found = mesh.control.sh("cd /var/lib/servos-control && find . -type f -size -64k | xargs grep -l BEGIN")?;
    let files = found.success("TLS files of the control plane")?;
    let path = |what: &str| -> Result<String> {
        for file in files.lines() {
            let path = format!("/var/lib/servos-control/{}", file.trim_start_matches("./"));
            if mesh.control.run("grep", &["-q", what, &path])?.status.success() {
                return Ok(path);
            }
        }
        anyhow::bail!("no file with {what}")
    };
    let (certificate, key) = (path("BEGIN CERTIFICATE")?, path("PRIVATE KEY")?);
    for (how, words) in [
        ("html", "is no servos control plane"),
        ("busy", "503"),
        ("huge", "sends more than"),
        ("never", "does not answer"),
    ] {
        let mut odd: Daemon = mesh.control.spawn(how, "python3", &["-c", ODD_SERVER, how, &certificate, &key], "")?;
        wait_for_problem(&servers[0], words).with_context(|| format!("{how}: {}", odd.log()))?;
        reach_each_other(&servers).with_context(|| how.to_owned())?;
        odd.kill()?;
    }
    mesh.start_control()?;
    wait_for("the control plane's return", Duration::from_secs(120), || {
        ensure!(servers[0].status()?["control"]["error"].is_null(), "still an error");
        Ok(())
    })
}

#[test]
fn a_deleted_server_keeps_what_it_has_and_is_gone_for_others() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let servers = [mesh.server("s1")?, mesh.server("s2")?];
    reach_each_other(&servers)?;
    mesh.control(&["server", "delete", "s2", "--organisation", "acme", "--yes"])?.success("server delete")?;
    wait_for_problem(&servers[1], "refuses (401)")?;
    wait_for_problem(&servers[1], "`servos-agent commission` with a new token")?;
    wait_for("s1 without s2", Duration::from_secs(30), || {
        ensure!(servers[0].status()?["mesh"]["peers"] == 0, "s2 is still a peer");
        Ok(())
    })?;
    servers[1].machine.run("getent", &["hosts", "s1"])?.success("names of the deleted server")?;
    Ok(())
}

#[test]
fn a_full_disk_keeps_neither_the_mesh_nor_its_changes_from_working() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let mut small = mesh.bare("s1")?;
    small
        .machine
        .sh("mkdir -p /var/lib/servos && mount -t tmpfs -o size=16m tmpfs /var/lib/servos")?
        .success("mount")?;
    mesh.commission(&mut small)?;
    small.machine.sh("dd if=/dev/zero of=/var/lib/servos/filler bs=4k 2>/dev/null; true")?;
    let mut servers = [small, mesh.server("s2")?];
    wait_for("s2 in the mesh of s1", Duration::from_secs(30), || reach_each_other(&servers))?;
    let status = servers[0].status()?;
    let problem = status["control"]["state_file_error"].as_str().unwrap_or_default();
    ensure!(problem.contains("cannot keep the mesh state"), "{status}");
    // Nor its start, be it without what is only kept to be quick.
    servers[0].kill_agent()?;
    servers[0]
        .machine
        .sh("rm -rf /var/lib/servos/plugin-cache; dd if=/dev/zero of=/var/lib/servos/more bs=4k 2>/dev/null; true")?;
    servers[0].start_agent()?;
    wait_for("the mesh after a start", Duration::from_secs(60), || reach_each_other(&servers))
}

#[test]
fn a_kept_state_that_is_cut_is_asked_for_again() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let mut servers = [mesh.server("s1")?, mesh.server("s2")?];
    reach_each_other(&servers)?;
    servers[0].kill_agent()?;
    servers[0].machine.sh("truncate -s 100 /var/lib/servos/mesh-state.bin")?.success("truncate")?;
    servers[0].start_agent()?;
    wait_for("the whole state", Duration::from_secs(30), || reach_each_other(&servers))?;
    wait_for("nothing to complain of", Duration::from_secs(30), || {
        let problems = servers[0].status()?["problems"].to_string();
        ensure!(!problems.contains("mesh-state.bin"), "{problems}");
        Ok(())
    })
}

#[test]
fn settings_that_are_broken_cost_a_start_nothing() -> Result<()> {
    let mesh = MeshLab::start(false)?;
    let mut servers = [mesh.server("s1")?, mesh.server("s2")?];
    reach_each_other(&servers)?;
    servers[0].machine.write("/etc/servos/agent.toml", "[tunnel]\nlisten_prt = 51820\n")?;
    servers[0].kill_agent()?;
    servers[0].start_agent()?;
    reach_each_other(&servers)?;
    let status = servers[0].agent(&["status"])?;
    ensure!(status.status.code() == Some(1), "status finds nothing wrong: {}", status.all());
    for word in ["/etc/servos/agent.toml", "line 2", "listen_prt", "the settings before"] {
        ensure!(status.stdout.contains(word), "{word:?} is not in {}", status.all());
    }
    servers[0].machine.write("/etc/servos/agent.toml", "")?;
    servers[0].kill_agent()?;
    servers[0].start_agent()?;
    servers[0].agent(&["status"])?.success("status").map(drop)
}
