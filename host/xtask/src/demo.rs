//! `demo`: the main job for real.

use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Command, ExitCode};

use anyhow::{Context, Result};
use clap::Args;

use crate::{build, places, setup};

/// Arguments of `demo`.
#[derive(Args)]
pub struct Arguments {
    /// Print one JSON document instead of a table
    #[arg(long)]
    json: bool,

    /// Leave everything running, and say how to enter it
    #[arg(long)]
    keep: bool,

    /// End what `--keep` left running
    #[arg(long, conflicts_with_all = ["json", "keep"])]
    end: bool,
}

impl Arguments {
    /// Whether it ends what was left, by a program that is there: nothing is built.
    pub fn only_ends(&self) -> bool {
        self.end && program().exists()
    }
}

fn program() -> PathBuf {
    places::target().join("debug/servos-demo")
}

/// Sets up, builds, shows. From there on this process is the demonstration, so that its exit code and signals are its
/// own.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    if !arguments.only_ends() {
        setup::all(!arguments.json)?;
        build::all(false)?;
    }
    let mut demo = Command::new(program());
    let flags = [("--json", arguments.json), ("--keep", arguments.keep), ("--end", arguments.end)];
    demo.args(flags.iter().filter(|(_, given)| *given).map(|(flag, _)| flag));
    Err(demo.exec()).context("cannot start the demonstration")
}
