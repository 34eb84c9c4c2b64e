//! The kit as a command: `servos-conformance-kit`, and `servos-plugin check`.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use crate::files::PluginFiles;
use crate::judge;

/// Arguments of `servos-plugin check`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    files: PluginFiles,

    #[command(flatten)]
    reporting: Reporting,
}

/// How to report.
#[derive(Args, Debug)]
pub struct Reporting {
    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Write the report as JUnit's XML as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Judges, and prints the report. 1: a check failed.
///
/// # Errors
///
/// What cannot be read, written or judged.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    check(&arguments.files, &arguments.reporting)
}

/// The same.
///
/// # Errors
///
/// See [`main`].
pub fn check(files: &PluginFiles, reporting: &Reporting) -> Result<ExitCode> {
    let (wasm, manifest) = files.read()?;
    let report = judge(&wasm, &manifest)?;
    if let Some(path) = &reporting.junit {
        std::fs::write(path, report.to_junit()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match reporting.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => println!("{report}"),
    }
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
