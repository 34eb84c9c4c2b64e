//! `servos-conformance-kit PLUGIN.wasm`: judges a plugin, prints a line a check. Exit code 0: passed, 1: failed, 2: could
//! not be judged.

use std::process::ExitCode;

use clap::Parser;
use servos_conformance_kit::check::{Reporting, check};
use servos_conformance_kit::files::PluginFiles;
use servos_conformance_kit::table;

/// Judges a plugin of the servos mesh: a component that exports an extension point of servos:plugin@0.1.
#[derive(Parser)]
#[command(version, arg_required_else_help = true)]
struct Cli {
    #[command(flatten)]
    files: Option<PluginFiles>,

    #[command(flatten)]
    reporting: Reporting,

    /// Print what is checked, as a table of Markdown
    #[arg(long, conflicts_with_all = ["PluginFiles", "Reporting"])]
    list: bool,
}

fn main() -> ExitCode {
    let arguments = Cli::parse();
    if arguments.list {
        print!("{}", table());
        return ExitCode::SUCCESS;
    }
    let Some(files) = arguments.files else {
        eprintln!("error: no FILE is given: which component is to be judged?");
        return ExitCode::from(2);
    };
    check(&files, &arguments.reporting).unwrap_or_else(|error| {
        eprintln!("error: {error:#}");
        ExitCode::from(2)
    })
}
