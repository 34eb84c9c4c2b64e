//! `bench`: figures beside a peer's, in one run.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{build, command, places, setup};

/// Arguments of `bench`.
#[derive(Args)]
pub struct Arguments {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,
}

/// Sets up, builds for release, measures.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    setup::all(!arguments.json)?;
    build::all(true)?;
    let mut bench = Command::new(places::target().join("release/servos-bench"));
    let status = command::status(bench.args(arguments.json.then_some("--json")))?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
