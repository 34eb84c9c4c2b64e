//! `check`: the conformance kit.

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;
use servos_conformance_kit::judge;

use crate::files::PluginFiles;

/// Arguments of `check`.
#[derive(Args, Debug)]
pub struct Arguments {
    #[command(flatten)]
    files: PluginFiles,

    /// Print the report as JSON
    #[arg(long)]
    json: bool,

    /// Write the report as JUnit's XML as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
}

/// Judges, and prints the report. 1: a check failed.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let (wasm, manifest) = arguments.files.read()?;
    let report = judge(&wasm, &manifest)?;
    if let Some(path) = &arguments.junit {
        std::fs::write(path, report.to_junit()).with_context(|| format!("cannot write {}", path.display()))?;
    }
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => println!("{report}"),
    }
    Ok(if report.passed { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
