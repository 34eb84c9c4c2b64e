//! What an author does with a plugin: make, build, look into, ask, measure and check it.
//!
//! One module a command. [`Command`] is the command line of `servos-plugin`, and a part of that of `servos-agent plugin`;
//! [`run`] does what it says. Exit codes: 0, done; 1, the plugin is at fault; 2, it could not be done.

#![forbid(unsafe_code)]

mod bench;
mod build;
mod call;
mod inspect;
pub mod limits;
pub mod mesh_file;
mod new;
mod templates;

use std::process::ExitCode;

use anyhow::Result;
use clap::Subcommand;
use servos_conformance_kit::check;

/// What can be done with a plugin.
#[derive(Debug, Subcommand)]
pub enum Command {
    /// Make a folder with a small plugin that works, and its tests
    New(new::Arguments),
    /// Build the component from the sources in a folder
    Build(build::Arguments),
    /// What a component is, imports and needs, without running it
    Inspect(inspect::Arguments),
    /// Ask a component one question, in a mesh from a file, within the agent's limits
    Call(call::Arguments),
    /// How long a component takes to load, start and answer, and what memory it takes
    Bench(bench::Arguments),
    /// Judge a component: the conformance kit, which every plugin should pass
    Check(check::Arguments),
}

/// Does it, and prints what came of it. 0: done; 1: the plugin is at fault.
///
/// # Errors
///
/// What could not be done, with the file that it was about.
pub fn run(command: Command) -> Result<ExitCode> {
    match command {
        Command::New(arguments) => new::main(&arguments),
        Command::Build(arguments) => build::main(&arguments),
        Command::Inspect(arguments) => inspect::main(&arguments),
        Command::Call(arguments) => call::main(&arguments),
        Command::Bench(arguments) => bench::main(&arguments),
        Command::Check(arguments) => check::main(&arguments),
    }
}
