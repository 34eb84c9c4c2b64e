//! `servos-conformance-kit PLUGIN.wasm`: judges a plugin, prints a line a check. Exit code 0: passed, 1: failed, 2: could
//! not be judged.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use servos_conformance_kit::judge;
use servos_sandbox::Manifest;

/// Judges a plugin of the servos mesh: a component that exports an extension point of servos:plugin@0.1.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The component
    plugin: PathBuf,
    /// Its settings and limits: the .toml file that would lie beside it
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
}

fn main() -> ExitCode {
    match run(&Arguments::parse()) {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error:#}");
            ExitCode::from(2)
        }
    }
}

fn run(arguments: &Arguments) -> Result<bool> {
    let wasm = std::fs::read(&arguments.plugin).with_context(|| arguments.plugin.display().to_string())?;
    let manifest = arguments.settings.as_deref().map(manifest).transpose()?.unwrap_or_default();
    let report = judge(&wasm, &manifest)?;
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&report)?),
        false => println!("{report}"),
    }
    Ok(report.passed)
}

fn manifest(path: &Path) -> Result<Manifest> {
    let named = || path.display().to_string();
    let text = std::fs::read_to_string(path).with_context(named)?;
    Manifest::parse(&text).with_context(named)
}
