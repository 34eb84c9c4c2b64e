//! The real Traefik on a machine of the laboratory reads the file: weights, a dead server, and what its API says of it.

mod common;

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use common::{Told, snapshot};
use servos_failover::{PROXY_HOST, PROXY_LOCATION, Weights, dynamic_file};
use servos_lab::{Daemon, Lab, Machine, start_traefik, traefik, wait_for};
use servos_mesh::Protocol;

const FILE: &str = "/etc/traefik/dynamic/servos-mesh.yml";

/// Asks N times and counts the answers.
const CLIENT: &str = r#"
import collections, http.client, json, sys
answers = collections.Counter()
for _ in range(int(sys.argv[1])):
    connection = http.client.HTTPConnection("127.0.0.1", 80, timeout=10)
    connection.request("GET", "/", headers={"Host": "api"})
    response = connection.getresponse()
    answers[f"{response.status} {response.read().decode().strip()}"] += 1
    connection.close()
print(json.dumps(answers))
"#;

fn ask(machine: &Machine, count: u32) -> Result<BTreeMap<String, u32>> {
    let text = machine.run("python3", &["-c", CLIENT, &count.to_string()])?.success("client")?;
    serde_json::from_str(&text).context("no JSON")
}

/// One machine with the three servers' addresses, an HTTP server on each.
fn stage(lab: &Lab) -> Result<(Machine, Vec<Daemon>)> {
    let machine = lab.machine("proxy")?;
    let mut daemons = Vec::new();
    for number in 1..=3 {
        machine.sh(&format!("ip address add 100.64.0.{number}/10 dev lo"))?.success("ip")?;
        let script = format!(
            "import http.server\nclass H(http.server.BaseHTTPRequestHandler):\n    def do_GET(self):\n        \
             self.send_response(200); self.send_header('Content-Length', '3'); self.end_headers(); self.wfile.write(b's{number}\\n')\n    \
             def log_message(self, *a): pass\nhttp.server.ThreadingHTTPServer(('100.64.0.{number}', 8080), H).serve_forever()"
        );
        daemons.push(machine.spawn(&format!("http-{number}"), "python3", &["-c", &script], "")?);
        wait_for("HTTP server", Duration::from_secs(20), || {
            machine.run("curl", &["-fsS", "-m", "2", &format!("http://100.64.0.{number}:8080/")])?.success("curl")
        })?;
    }
    Ok((machine, daemons))
}

fn apply(machine: &Machine, services: &[(&str, Protocol, u16)], weights: &[u16]) -> Result<()> {
    let snapshot = snapshot(services, &[]);
    let weights = Weights::default().next(&snapshot, &Told(Some(weights.to_vec())));
    let entry_points = BTreeMap::from([("web".to_owned(), 80)]);
    let content = dynamic_file(&snapshot, &weights, &entry_points).content;
    // As `write_if_changed` does: another name first.
    machine.write(&format!("{FILE}.part"), &content)?;
    machine.sh(&format!("mv {FILE}.part {FILE}"))?.success("mv").map(drop)
}

#[test]
fn weights_a_dead_server_and_the_probe_for_the_file() -> Result<()> {
    let lab = Lab::new()?;
    let (machine, mut servers) = stage(&lab)?;
    let mut traefik = start_traefik(&machine, &traefik()?)?;
    apply(&machine, &[("api", Protocol::Http, 80)], &[100, 0, 300])?;

    let answers = wait_for("the weights", Duration::from_secs(30), || {
        let answers = ask(&machine, 40)?;
        ensure!(
            answers.get("200 s1") == Some(&10) && answers.get("200 s3") == Some(&30),
            "{answers:?}: {}",
            traefik.log()
        );
        Ok(answers)
    })?;
    ensure!(answers.len() == 2, "{answers:?}");
    let header = format!("Host: {PROXY_HOST}");
    let redirected = machine.run(
        "curl",
        &["-sS", "-m", "5", "-o", "/dev/null", "-w", "%{redirect_url}", "-H", &header, "http://100.64.0.1/"],
    )?;
    ensure!(redirected.stdout == PROXY_LOCATION, "{redirected:?}");
    for kind in ["routers", "services"] {
        let listed =
            machine.run("curl", &["-sS", &format!("http://127.0.0.1:8099/api/http/{kind}")])?.success("api")?;
        let listed: Vec<serde_json::Value> = serde_json::from_str(&listed)?;
        let ours: Vec<_> =
            listed.iter().filter(|one| one["name"].as_str().is_some_and(|name| name.contains("servos"))).collect();
        ensure!(!ours.is_empty() && ours.iter().all(|one| one["status"] == "enabled"), "{kind}: {ours:?}");
    }

    // Dead, and still in the file: the retry finds the other.
    servers[2].kill()?;
    let answers = ask(&machine, 20)?;
    ensure!(answers.keys().all(|answer| answer == "200 s1"), "{answers:?}");
    traefik.stop()?;
    Ok(())
}

#[test]
fn tcp_by_weight() -> Result<()> {
    let lab = Lab::new()?;
    let (machine, _servers) = stage(&lab)?;
    let _traefik = start_traefik(&machine, &traefik()?)?;
    apply(&machine, &[("api", Protocol::Tcp, 80)], &[300, 100, 0])?;
    wait_for("the weights", Duration::from_secs(30), || {
        let answers = ask(&machine, 40)?;
        ensure!(answers.get("200 s1") == Some(&30) && answers.get("200 s2") == Some(&10), "{answers:?}");
        Ok(())
    })?;
    Ok(())
}
