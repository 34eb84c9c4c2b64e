//! DNS answers a second: the mesh's own server, and dnsmasq with the same names, asked by `dnsperf` on one machine.

use std::time::Duration;

use anyhow::Result;

use super::Comparison;
use crate::mesh::{MeshLab, Server};
use crate::{DnsperfReport, wait_for};

/// Services whose names are asked.
const NAMES: usize = 100;
const ROUNDS: usize = 3;

pub(super) fn measure(mesh: &MeshLab, server: &Server) -> Result<Vec<Comparison>> {
    let mut resources = String::from("resources:\n");
    let mut hosts = String::new();
    let mut questions = String::new();
    for number in 0..NAMES {
        resources.push_str(&format!(
            "  - {{ name: svc-{number}, protocol: tcp, port: 80, instances: [ {{ server: s2, port: 80 }} ] }}\n"
        ));
        hosts.push_str(&format!("100.64.0.2 svc-{number}.mesh.internal\n"));
        questions.push_str(&format!("svc-{number}.mesh.internal A\n"));
    }
    mesh.apply(&resources)?;
    let machine = &server.machine;
    machine.write("/etc/bench.hosts", &hosts)?;
    machine.write("/etc/bench.questions", &questions)?;
    let own = server.mesh_address()?;
    wait_for("the names", Duration::from_secs(30), || {
        machine.run("getent", &["hosts", &format!("svc-{}", NAMES - 1)])?.success("getent").map(drop)
    })?;
    let arguments = [
        "--keep-in-foreground",
        "--no-daemon",
        "--no-resolv",
        "--no-hosts",
        "--addn-hosts=/etc/bench.hosts",
        "--user=root",
        "--pid-file=",
        "--port=5353",
        "--listen-address=127.0.0.1",
        "--bind-interfaces",
        "--cache-size=10000",
    ];
    let _dnsmasq = machine.spawn("dnsmasq", "dnsmasq", &arguments, "")?;
    wait_for("dnsmasq", Duration::from_secs(20), || {
        machine
            .run("dig", &["@127.0.0.1", "-p", "5353", "+time=1", "+short", "svc-1.mesh.internal"])?
            .success("dig")
            .map(drop)
    })?;
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(rate(server, &own, "53")?);
        theirs.push(rate(server, "127.0.0.1", "5353")?);
    }
    Ok(vec![Comparison::against("DNS answers (dnsperf, 100 names)", "answers/s", &ours, "dnsmasq", &theirs)?])
}

fn rate(server: &Server, address: &str, port: &str) -> Result<f64> {
    let arguments = dnsperf_arguments(address, port, "/etc/bench.questions", "3");
    DnsperfReport::new(server.machine.run("dnsperf", &arguments)?.success("dnsperf")?).answers_a_second()
}

/// Arguments of `dnsperf`: four clients of one thread ask the questions of a file, over and over, for so many seconds.
pub(super) fn dnsperf_arguments<'a>(
    address: &'a str,
    port: &'a str,
    questions: &'a str,
    seconds: &'a str,
) -> [&'a str; 12] {
    ["-s", address, "-p", port, "-d", questions, "-l", seconds, "-c", "4", "-T", "1"]
}
