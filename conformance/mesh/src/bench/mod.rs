//! Benchmarks: each figure beside a peer's in the same run, on the same machines; only the ratio means something.

mod convergence;
mod dns;
mod figure;
mod machine_kind;
mod process;
mod report;
mod results;
pub mod sandbox;
mod spread;
mod throughput;
pub mod tunnel;

use std::process::ExitCode;

use anyhow::{Context, Result};
use serde::Serialize;

use self::spread::Spread;
use crate::interrupt;
use crate::mesh::{MeshLab, Server};

/// What one thing came to for us and for a peer.
#[derive(Debug, Serialize)]
struct Comparison {
    name: &'static str,
    unit: &'static str,
    ours: f64,
    /// Whom it is measured against; none for a figure that has no peer.
    peer: Option<&'static str>,
    theirs: Option<f64>,
    /// Ours over theirs.
    ratio: Option<f64>,
}

impl Comparison {
    /// The medians of the rounds.
    fn against(
        name: &'static str,
        unit: &'static str,
        ours: &[f64],
        peer: &'static str,
        theirs: &[f64],
    ) -> Result<Self> {
        let median = |rounds: &[f64]| Spread::of(rounds).map(|spread| spread.median).context("no round was measured");
        let (ours, theirs) = (median(ours)?, median(theirs)?);
        Ok(Self { name, unit, ours, peer: Some(peer), theirs: Some(theirs), ratio: Some(ours / theirs) })
    }
}

/// Runs all benchmarks. 0: all could be measured.
pub fn main(json: bool) -> ExitCode {
    finish(|| {
        let figures = measure()?;
        if json {
            println!("{}", serde_json::json!({ "figures": figures }));
        } else {
            figures.iter().for_each(print);
        }
        Ok(())
    })
}

/// Runs a benchmark to its end, or to the signal that ends it: then its laboratory is tidied up, too.
fn finish(run: impl FnOnce() -> Result<()>) -> ExitCode {
    if let Err(error) = interrupt::note_signals() {
        eprintln!("servos-bench: Ctrl-C will not tidy up: {error}");
    }
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("servos-bench: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn measure() -> Result<Vec<Comparison>> {
    let mesh = MeshLab::start(false)?;
    let servers: Vec<Server> =
        ["s1", "s2", "s3", "s4"].into_iter().map(|name| mesh.server(name)).collect::<Result<_>>()?;
    let mut figures = convergence::measure(&mesh, &servers)?;
    figures.extend(dns::measure(&mesh, &servers[0])?);
    figures.extend(throughput::measure(&servers[0], &servers[1])?);
    Ok(figures)
}

fn print(figure: &Comparison) {
    let ours = format!("{:.3} {}", figure.ours, figure.unit);
    match (figure.peer, figure.theirs, figure.ratio) {
        (Some(peer), Some(theirs), Some(ratio)) => {
            println!("{:<58} {ours:>20}   {peer} {theirs:.3} {}   ratio {ratio:.2}", figure.name, figure.unit);
        }
        _ => println!("{:<58} {ours:>20}", figure.name),
    }
}
