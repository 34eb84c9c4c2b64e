//! `bench sandbox`: what a call of a plugin costs, what a plugin costs, and what plugins cost a DNS server.
//!
//! Everything runs in this program, with the guests in `target/guests` and some that are made for it.

mod calls;
mod dns;
mod figure;
mod guests;
mod loading;
mod mesh;

use std::process::ExitCode;
use std::time::Duration;

use anyhow::Result;
use serde_json::json;

use self::calls::Calls;
use self::dns::Names;
use self::figure::{FIGURES, PEERS};
use crate::bench::machine_kind::machine;
use crate::bench::results::Results;
use crate::bench::{finish, report};
use crate::interrupt;

/// What is asked for.
#[derive(Clone, Copy, Debug, Default)]
pub struct Options {
    /// One JSON document instead of a table.
    pub json: bool,
    /// One short round: whether everything can be measured, not how much it is.
    pub quick: bool,
}

/// How long and how often is measured.
struct Pace {
    rounds: usize,
    /// A figure a round.
    calls: Duration,
    dns_seconds: u32,
}

/// Some three minutes.
const WHOLE: Pace = Pace { rounds: 7, calls: Duration::from_millis(300), dns_seconds: 3 };

const QUICK: Pace = Pace { rounds: 1, calls: Duration::from_millis(50), dns_seconds: 1 };

/// Measures, and prints what it found. 0: calls and loading could be measured.
pub fn main(options: Options) -> ExitCode {
    finish(|| {
        show(&measure(if options.quick { QUICK } else { WHOLE })?, options);
        Ok(())
    })
}

fn measure(pace: Pace) -> Result<Results> {
    let mut results = Results::default();
    // Memory first, while little is there that could be given back in between.
    loading::memory(&mut results)?;
    let mesh = mesh::snapshot()?;
    let calls = Calls::new(mesh.clone())?;
    let mut names = Names::new(mesh).map_err(|error| results.leave_out(format!("DNS: {error:#}"))).ok();
    for round in 1..=pace.rounds {
        eprintln!("round {round} of {}", pace.rounds);
        calls.measure(pace.calls, &mut results)?;
        loading::instantiation(pace.calls, &mut results)?;
        loading::bundle(&mut results)?;
        // What fails once would fail in each round.
        let asked = names.as_ref().map(|names| names.measure(pace.dns_seconds, &mut results));
        interrupt::check()?;
        if let Some(Err(error)) = asked {
            results.leave_out(format!("DNS: {error:#}"));
            names = None;
        }
    }
    Ok(results)
}

fn show(results: &Results, options: Options) {
    let rows = report::rows(&FIGURES, &PEERS, results);
    if options.json {
        println!("{}", json!({ "machine": machine(), "rows": rows, "left_out": results.left_out() }));
    } else {
        print!("{}", report::table(&rows));
    }
}
