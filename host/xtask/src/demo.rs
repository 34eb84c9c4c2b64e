//! `demo`: the main job for real.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{build, command, places, setup};

/// Arguments of `demo`.
#[derive(Args)]
pub struct Arguments {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,

    /// Leave everything running, and say how to enter it
    #[arg(long)]
    keep: bool,
}

/// Sets up, builds, shows. The exit code is the demonstration's.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    setup::all(!arguments.json)?;
    build::all(false)?;
    let mut demo = Command::new(places::target().join("debug/servos-demo"));
    demo.args(arguments.json.then_some("--json")).args(arguments.keep.then_some("--keep"));
    let status = command::status(&mut demo)?;
    Ok(if status.success() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
