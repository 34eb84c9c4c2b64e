//! `cargo xtask`: everything that is done to this project, one file a subcommand.

mod bench;
mod build;
mod checkout;
mod command;
mod demo;
mod fuzz;
mod guests;
mod places;
mod setup;
mod side_by_side;
mod test;
mod test_programs;
mod toolchains;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Parser, Subcommand};

/// Sets up, builds, tests, shows and measures servos-mesh.
#[derive(Parser)]
#[command(name = "cargo xtask", bin_name = "cargo xtask", arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Install what building and testing need beyond Cargo; skips what is there
    Setup,
    /// Build the guests (plugins, eBPF), then the workspace
    Build(build::Arguments),
    /// Set up, build, and run every check and test
    Test,
    /// Feed what reads bytes of strangers with very many; `test` does so for a minute each
    Fuzz(fuzz::Arguments),
    /// Set up, build, and run the main job: a control plane and four servers in namespaces of their own
    Demo(demo::Arguments),
    /// Set up, build for release, and print figures as ratios
    Bench(bench::Arguments),
}

impl Command {
    /// Whether anything is built into the cache.
    fn builds(&self) -> bool {
        match self {
            Self::Setup => false,
            Self::Demo(arguments) => !arguments.only_ends(),
            Self::Build(_) | Self::Test | Self::Fuzz(_) | Self::Bench(_) => true,
        }
    }
}

fn main() -> ExitCode {
    match dispatch(Cli::parse().command) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("cargo xtask: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(command: Command) -> Result<ExitCode> {
    // To the end, but for the demonstration: this process becomes that, and gives it up.
    let _claim = command.builds().then(checkout::claim).transpose()?;
    match command {
        Command::Setup => setup::main(),
        Command::Build(arguments) => build::main(&arguments),
        Command::Test => test::main(),
        Command::Fuzz(arguments) => fuzz::main(&arguments),
        Command::Demo(arguments) => demo::main(&arguments),
        Command::Bench(arguments) => bench::main(&arguments),
    }
}
