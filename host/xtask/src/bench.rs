//! `bench`: figures beside a peer's, in one run.

#[path = "bench_peers.rs"]
mod bench_peers;

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::{build, command, places, setup};

/// The part that has peers which are built for it.
const TUNNEL: &str = "tunnel";

/// Arguments of `bench`.
#[derive(Args)]
#[command(args_conflicts_with_subcommands = true)]
pub struct Arguments {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,

    #[command(subcommand)]
    part: Option<Part>,
}

#[derive(Subcommand)]
enum Part {
    /// Measure the userspace WireGuard against others: wireguard-go of Debian and of today, boringtun, gotatun
    Tunnel(Tunnel),
    /// Measure plugins: a call, an instance, loading, memory, and DNS through none, one and five of them
    Sandbox(Sandbox),
}

/// Arguments of `bench tunnel`.
#[derive(Args)]
struct Tunnel {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,

    /// One short round: whether everything can be measured, not how much it is
    #[arg(long)]
    quick: bool,

    /// Write host/tunnel/BENCHMARKS.md and its plot, or those of machines without AVX-512
    #[arg(long)]
    sheet: bool,
}

/// Arguments of `bench sandbox`.
#[derive(Args)]
struct Sandbox {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,

    /// One short round: whether everything can be measured, not how much it is
    #[arg(long)]
    quick: bool,
}

/// Sets up, builds for release, measures.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    match &arguments.part {
        None => measure(arguments.json, &[("--json", arguments.json)], None),
        Some(Part::Tunnel(tunnel)) => {
            let options = [("--json", tunnel.json), ("--quick", tunnel.quick), ("--sheet", tunnel.sheet)];
            measure(tunnel.json, &options, Some(TUNNEL))
        }
        Some(Part::Sandbox(sandbox)) => {
            let options = [("--json", sandbox.json), ("--quick", sandbox.quick)];
            measure(sandbox.json, &options, Some("sandbox"))
        }
    }
}

fn measure(json: bool, options: &[(&str, bool)], part: Option<&str>) -> Result<ExitCode> {
    setup::all(!json)?;
    if part == Some(TUNNEL) {
        bench_peers::all(!json);
    }
    build::all(true)?;
    let mut bench = Command::new(places::target().join("release/servos-bench"));
    bench.args(part).args(options.iter().filter(|(_, wanted)| *wanted).map(|(option, _)| option));
    let status = command::status(&mut bench)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
