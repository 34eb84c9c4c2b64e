//! `build`: guests first, since the agent carries them, then the workspace.

use std::process::{Command, ExitCode};

use anyhow::Result;
use clap::Args;

use crate::{command, guests, places};

/// Arguments of `build`.
#[derive(Args, Default)]
pub struct Arguments {
    /// Build for servers: optimised as a whole
    #[arg(long)]
    pub release: bool,

    /// Build the guests alone (plugins, eBPF), into target/guests
    #[arg(long)]
    pub guests: bool,
}

/// Builds, and says where the programs are.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    if arguments.guests {
        guests::build()?;
        return Ok(ExitCode::SUCCESS);
    }
    all(arguments.release)?;
    let folder = places::target().join(if arguments.release { "release" } else { "debug" });
    println!("programs: {} and {}", folder.join("servos-agent").display(), folder.join("servos-control").display());
    Ok(ExitCode::SUCCESS)
}

/// Guests and workspace.
pub fn all(release: bool) -> Result<()> {
    guests::build()?;
    let mut cargo = cargo();
    cargo.args(["build", "--workspace", "--bins"]);
    if release {
        cargo.arg("--release");
    }
    command::run(&mut cargo)
}

/// Cargo in the workspace, with build products in the cache; without those of incremental compilation, which are kept for
/// each checkout and soon are most of it.
pub fn cargo() -> Command {
    let mut cargo = Command::new("cargo");
    cargo.current_dir(places::root()).env("CARGO_TARGET_DIR", places::target()).env("CARGO_INCREMENTAL", "0");
    cargo
}
