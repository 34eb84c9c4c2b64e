//! `servos-conformance-kit PLUGIN.wasm`: judges a plugin, prints a line a check. Exit code 0: passed, 1: failed, 2: could
//! not be judged.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Parser;
use servos_conformance_kit::{judge, table};
use servos_sandbox::Manifest;

/// Judges a plugin of the servos mesh: a component that exports an extension point of servos:plugin@0.1.
#[derive(Parser)]
#[command(version)]
struct Arguments {
    /// The component
    #[arg(required_unless_present = "list")]
    plugin: Option<PathBuf>,
    /// Its settings, limits and grants: the .toml file that would lie beside it
    #[arg(long, value_name = "FILE")]
    settings: Option<PathBuf>,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Write the report as JUnit's XML as well
    #[arg(long, value_name = "FILE")]
    junit: Option<PathBuf>,
    /// Print what is checked, as a table of Markdown
    #[arg(long)]
    list: bool,
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
    let Some(plugin) = arguments.plugin.as_deref().filter(|_| !arguments.list) else {
        print!("{}", table());
        return Ok(true);
    };
    let wasm = std::fs::read(plugin).with_context(|| plugin.display().to_string())?;
    let manifest = arguments.settings.as_deref().map(manifest).transpose()?.unwrap_or_default();
    let report = judge(&wasm, &manifest)?;
    if let Some(path) = &arguments.junit {
        std::fs::write(path, report.to_junit()).with_context(|| path.display().to_string())?;
    }
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
