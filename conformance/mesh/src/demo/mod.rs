//! The demonstration: a control plane and four servers, and each promise checked with somebody else's client.

mod failover;
mod firewall;
mod joining;
mod mesh;
mod names;
mod plugins;
mod restart;
mod stage;
mod wakeup;

use std::process::ExitCode;
use std::time::Instant;

use anyhow::Result;
use serde::Serialize;

use stage::Stage;

use crate::interrupt;
use crate::leftovers::{self, Which};

/// One line of the table.
#[derive(Debug, Serialize)]
struct Line {
    step: &'static str,
    pass: bool,
    /// What was seen; or why not.
    evidence: String,
    seconds: f64,
}

/// A step: does something real, and returns what it saw.
type Step = fn(&mut Stage) -> Result<String>;

/// In this order: later steps stand on earlier ones.
const STEPS: [(&str, Step); 12] = [
    ("every pair of servers reaches each other", mesh::every_pair),
    ("`wg show` lists peers and handshakes", mesh::wg_show),
    ("names answer by bare name on every server", names::bare_names),
    ("dig: A, AAAA (NODATA), SRV, PTR, NXDOMAIN", names::dig),
    ("no name answers outside the mesh", names::outside),
    ("a packet to nobody ends in the kernel", wakeup::nobody),
    ("`api` is spread by weight through Traefik", failover::spread),
    ("a server is cut off: no request fails from 2 s on", failover::cut),
    ("firewall: ours added, the operator's untouched", firewall::rules),
    ("a third party's plugin changes names at once", plugins::drop_in),
    ("fifty servers join and leave, no packet lost", joining::fifty),
    ("control plane down, agent killed: all goes on", restart::without_control),
];

/// Runs the demonstration. 0: every step passed.
pub fn main(json: bool, keep: bool) -> ExitCode {
    if let Err(error) = interrupt::note_signals() {
        eprintln!("servos-demo: Ctrl-C will not tidy up: {error}");
    }
    let started = Instant::now();
    let say = |text: &str| {
        if !json {
            println!("{text}");
        }
    };
    say("a control plane and four servers, each with its own network, /etc, /run and /var/lib …");
    let mut lines = Vec::new();
    let set = Instant::now();
    let mut stage = match Stage::set(keep) {
        Ok(stage) => {
            let evidence = stage.evidence();
            report(&mut lines, json, "four servers commissioned, one command each", set, Ok(evidence));
            stage
        }
        Err(error) => {
            report(&mut lines, json, "four servers commissioned, one command each", set, Err(error));
            return finish(&lines, json, started);
        }
    };
    for (name, step) in STEPS {
        let began = Instant::now();
        let outcome = interrupt::check().and_then(|()| step(&mut stage));
        report(&mut lines, json, name, began, outcome);
    }
    let code = finish(&lines, json, started);
    if keep {
        say(&stage.how_to_enter());
        say("end it with: cargo xtask demo --end");
        stage.leave();
    }
    code
}

/// Ends demonstrations that were left running.
pub fn end() -> ExitCode {
    let removed = leftovers::remove(Which::LostAndKept);
    println!("ended: {}", removed.len());
    ExitCode::SUCCESS
}

fn report(lines: &mut Vec<Line>, json: bool, step: &'static str, began: Instant, outcome: Result<String>) {
    let seconds = began.elapsed().as_secs_f64();
    let (pass, evidence) = match outcome {
        Ok(evidence) => (true, evidence),
        Err(error) => (false, format!("{error:#}")),
    };
    if !json {
        println!("{}  {step:<50} {evidence}  [{seconds:.1} s]", if pass { "PASS" } else { "FAIL" });
    }
    lines.push(Line { step, pass, evidence, seconds });
}

fn finish(lines: &[Line], json: bool, started: Instant) -> ExitCode {
    let pass = lines.len() == STEPS.len() + 1 && lines.iter().all(|line| line.pass);
    let seconds = started.elapsed().as_secs_f64();
    if json {
        println!("{}", serde_json::json!({ "pass": pass, "seconds": seconds, "steps": lines }));
    } else {
        let passed = lines.iter().filter(|line| line.pass).count();
        println!("{passed} of {} steps passed in {seconds:.0} s", STEPS.len() + 1);
    }
    if pass { ExitCode::SUCCESS } else { ExitCode::FAILURE }
}
