//! `test`: every check and every test; all of them run, whatever fails before.

use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::Result;

use crate::build::{self, cargo};
use crate::command::{output, status};
use crate::{fuzz, places, setup, test_programs};

/// Sets up, builds, checks, tests.
pub fn main() -> Result<ExitCode> {
    setup::all(true)?;
    setup::checks(true)?;
    build::all(false)?;
    let mut table = Table::default();
    table.step("cargo fmt", cargo().args(["fmt", "--all", "--check"]));
    let mut fmt = Command::new("cargo");
    table.step("cargo fmt (eBPF)", fmt.args(["fmt", "--check"]).current_dir(places::root().join("bpf/mesh-wakeup")));
    table.step("cargo fmt (fuzz)", fuzz_cargo("fmt").arg("--check"));
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    table.step("cargo clippy", cargo().args(clippy));
    table.step("cargo fmt (examples)", examples_cargo("fmt").args(["--all", "--check"]));
    table.step("cargo clippy (fuzz)", fuzz_cargo("clippy").args(["--all-targets", "--quiet", "--", "-D", "warnings"]));
    table.step("cargo deny", &mut deny(&["bans", "licenses", "sources"]));
    // A workspace of its own, which has not all that is allowed.
    let unmet = ["-A", "license-not-encountered", "-A", "license-exception-not-encountered"];
    let checks = [&unmet[..], &["bans", "licenses", "sources"]].concat();
    table.step("cargo deny (fuzz)", deny(&checks).current_dir(places::fuzz()));
    match fetch_advisories() {
        Ok(()) => table.step("cargo deny (advisories)", &mut deny(&["advisories"])),
        Err(reason) => table.leave_out("cargo deny (advisories)", &reason),
    }
    let doc = ["doc", "--workspace", "--no-deps", "--quiet"];
    table.step("cargo doc", cargo().args(doc).env("RUSTDOCFLAGS", "-D warnings"));
    table.programs();
    table.step("cargo test (doc)", cargo().args(["test", "--workspace", "--doc", "--no-fail-fast"]));
    let strict = ["--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    table.step("cargo clippy (examples)", examples_cargo("clippy").args(strict));
    table.step("cargo test (examples)", examples_cargo("test").args(["--workspace", "--no-fail-fast"]));
    table.step("cargo fuzz build", &mut fuzz::cargo_fuzz("build"));
    for run in fuzz::run_all(&fuzz::TARGETS, fuzz::SECONDS, fuzz::fresh) {
        table.note(&format!("fuzz {}", run.target), run.passed, run.took);
    }
    Ok(table.finish())
}

/// Cargo in the workspace of the fuzz targets, without a fuzzer's flags.
fn fuzz_cargo(subcommand: &str) -> Command {
    let mut command = Command::new("cargo");
    command.arg(subcommand).current_dir(places::fuzz()).env("CARGO_TARGET_DIR", places::fuzz_target());
    command
}

/// Cargo in the workspace of the examples in Rust, on the host: as their authors test them.
fn examples_cargo(subcommand: &str) -> Command {
    let mut command = Command::new("cargo");
    command.arg(subcommand).current_dir(places::root().join("sdk/examples"));
    command.env("CARGO_TARGET_DIR", places::target());
    command
}

fn deny(checks: &[&str]) -> Command {
    let mut command = cargo_deny();
    command.args(["--log-level", "warn", "check"]).args(checks);
    command
}

/// Brings the database of advisories, or says why it cannot be had.
fn fetch_advisories() -> Result<(), String> {
    let fetched = cargo_deny().args(["fetch", "db"]).output().map_err(|error| error.to_string())?;
    if fetched.status.success() {
        return Ok(());
    }
    let said = String::from_utf8_lossy(&fetched.stderr).into_owned();
    let last = said.lines().map(str::trim).rfind(|line| !line.is_empty()).unwrap_or("no reason given");
    Err(format!("the database of advisories cannot be fetched: {last}"))
}

fn cargo_deny() -> Command {
    let mut command = Command::new(places::tools().join("bin/cargo-deny"));
    command.current_dir(places::root());
    command
}

/// What became of a step.
enum Outcome {
    Passed,
    Failed,
    LeftOut,
}

#[derive(Default)]
struct Table {
    lines: Vec<(String, Outcome, Duration)>,
}

impl Table {
    fn step(&mut self, name: &str, command: &mut Command) {
        println!("== {name}");
        let began = Instant::now();
        let passed = status(command).map(|status| status.success()).unwrap_or_else(|error| {
            eprintln!("{error:#}");
            false
        });
        self.note(name, passed, began.elapsed());
    }

    /// Builds the programs of the workspace's tests and runs them; those that failed have a line of their own.
    fn programs(&mut self) {
        println!("== cargo test");
        let began = Instant::now();
        let runs = test_programs::run_all().unwrap_or_else(|error| {
            eprintln!("{error:#}");
            Vec::new()
        });
        self.note("cargo test", !runs.is_empty() && runs.iter().all(|run| run.passed), began.elapsed());
        for run in runs.iter().filter(|run| !run.passed) {
            self.note(&format!("  {}", run.name), false, run.took);
        }
    }

    fn note(&mut self, name: &str, passed: bool, took: Duration) {
        let outcome = if passed { Outcome::Passed } else { Outcome::Failed };
        self.lines.push((name.to_owned(), outcome, took));
    }

    fn leave_out(&mut self, name: &str, reason: &str) {
        println!("== {name}: left out, {reason}");
        self.lines.push((name.to_owned(), Outcome::LeftOut, Duration::ZERO));
    }

    fn finish(&self) -> ExitCode {
        println!("== summary ({})", output("rustc", &["--version"]).unwrap_or_default());
        let mut failed = 0;
        for (name, outcome, took) in &self.lines {
            let word = match outcome {
                Outcome::Passed => "PASS",
                Outcome::LeftOut => "LEFT OUT",
                Outcome::Failed => {
                    failed += 1;
                    "FAIL"
                }
            };
            println!("{word:<9} {name:<26} {:>7.1} s", took.as_secs_f64());
        }
        println!("{} steps, {failed} failed", self.lines.len());
        if failed == 0 { ExitCode::SUCCESS } else { ExitCode::FAILURE }
    }
}
