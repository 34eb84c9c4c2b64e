//! Real services on the machines: HTTP servers, Traefik, an upstream DNS server.

use std::path::Path;
use std::process::Command;
use std::time::Duration;

use anyhow::Result;

use crate::daemon::Daemon;
use crate::lab::Lab;
use crate::machine::Machine;
use crate::wait_for;

/// Answers every GET with the machine's name.
const HTTP_SERVER: &str = r#"
import http.server, socket, sys
NAME = sys.argv[2].encode() + b"\n"
class Handler(http.server.BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    def do_GET(self):
        self.send_response(200)
        self.send_header("Content-Length", str(len(NAME)))
        self.end_headers()
        self.wfile.write(NAME)
    def log_message(self, *arguments):
        pass
class Server(http.server.ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128
Server(("0.0.0.0", int(sys.argv[1])), Handler).serve_forever()
"#;

/// Starts an HTTP server on a machine and waits until it listens.
///
/// # Errors
///
/// If it cannot be started.
pub fn start_http_instance(machine: &Machine, port: u16) -> Result<Daemon> {
    let port_text = port.to_string();
    let log = format!("http-{port}");
    let daemon = machine.spawn(&log, "python3", &["-c", HTTP_SERVER, &port_text, machine.name()], "")?;
    let url = format!("http://127.0.0.1:{port}/");
    wait_for("HTTP server", Duration::from_secs(20), || {
        machine.run("curl", &["-sS", "-m", "2", &url])?.success("curl").map(drop)
    })?;
    Ok(daemon)
}

/// Starts the real Traefik on a machine: entry point `web` on port 80, the folder that the agent writes to, its API on
/// loopback.
///
/// # Errors
///
/// If it cannot be started.
pub fn start_traefik(machine: &Machine, program: &Path) -> Result<Daemon> {
    machine.write(
        "/etc/traefik/traefik.yml",
        "global: { checkNewVersion: false, sendAnonymousUsage: false }\n\
         entryPoints: { web: { address: ':80' }, traefik: { address: '127.0.0.1:8099' } }\n\
         api: { insecure: true }\n\
         log: { level: INFO }\n\
         providers: { providersThrottleDuration: 100ms, file: { directory: /etc/traefik/dynamic, watch: true } }\n",
    )?;
    machine.sh("mkdir -p /etc/traefik/dynamic")?.success("mkdir")?;
    let daemon = machine.spawn("traefik", program, &["--configFile=/etc/traefik/traefik.yml"], "")?;
    wait_for("Traefik", Duration::from_secs(30), || {
        machine.run("curl", &["-sS", "-m", "2", "http://127.0.0.1:8099/api/version"])?.success("curl").map(drop)
    })?;
    Ok(daemon)
}

/// Starts the DNS server that the machines used before there was a mesh: it knows `outside.corp.test` and nothing else.
///
/// # Errors
///
/// If dnsmasq cannot be started.
pub fn start_dns_upstream(lab: &Lab) -> Result<Daemon> {
    let mut command: Command = lab.on_hub("dnsmasq");
    command.args(["--keep-in-foreground", "--no-resolv", "--no-hosts", "--no-daemon", "--bind-interfaces"]);
    command.args(["--listen-address", &Lab::GATEWAY.to_string(), "--user=root", "--pid-file="]);
    command.args(["--address=/outside.corp.test/192.0.2.80", "--local=/#/"]);
    Daemon::start(command, "", lab.folder().join("dnsmasq.log"))
}
