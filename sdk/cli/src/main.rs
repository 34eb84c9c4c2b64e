//! `servos-plugin`: the author's command line.

use std::process::ExitCode;

use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

/// Makes, builds, asks, measures and checks plugins of the servos mesh.
///
/// Exit codes: 0, done; 1, the plugin is at fault: it does not build, does not answer, or fails a check; 2, it could not
/// be done: wrong usage, a file that is not there, a tool that is missing.
#[derive(Parser)]
#[command(name = "servos-plugin", version, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    #[command(flatten)]
    Plugin(servos_plugin_cli::Command),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

fn main() -> ExitCode {
    let done = match Cli::parse().command {
        Command::Plugin(command) => servos_plugin_cli::run(command),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "servos-plugin", &mut std::io::stdout());
            Ok(ExitCode::SUCCESS)
        }
    };
    done.unwrap_or_else(|error| {
        eprintln!("servos-plugin: {error:#}");
        ExitCode::from(2)
    })
}
