//! The programs that `cargo test` builds, run side by side: many of them wait for the clocks of real protocols.

use std::fs::File;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use serde::Deserialize;

use crate::build::cargo;
use crate::command::status;
use crate::side_by_side::side_by_side;

/// The crates whose tests take longest. They are begun first, so that none is left to run alone.
const LONGEST: [&str; 2] = ["sdk/cli", "conformance/mesh"];

/// What became of a program.
pub struct Run {
    /// Crate and target, such as `mesh/demo`.
    pub name: String,
    /// Whether all its tests passed.
    pub passed: bool,
    /// How long it ran.
    pub took: Duration,
}

/// Builds and runs all of them; what each said is shown when it has ended.
///
/// # Errors
/// When they cannot be built.
pub fn run_all() -> Result<Vec<Run>> {
    let mut programs = built()?;
    ensure!(!programs.is_empty(), "no program of tests was built");
    programs.sort_by_key(|program| {
        LONGEST.iter().position(|long| program.package.ends_with(long)).unwrap_or(LONGEST.len())
    });
    Ok(side_by_side(&programs, Program::run))
}

/// A program of tests.
struct Program {
    name: String,
    /// The folder of its crate, where its tests are run.
    package: PathBuf,
    executable: PathBuf,
}

/// What of cargo's messages matters here.
#[derive(Deserialize)]
struct Artifact {
    manifest_path: PathBuf,
    target: Target,
    profile: Profile,
    executable: Option<PathBuf>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
}

#[derive(Deserialize)]
struct Profile {
    test: bool,
}

fn built() -> Result<Vec<Program>> {
    let arguments = ["test", "--workspace", "--no-run", "--message-format", "json-render-diagnostics"];
    let mut building = cargo().args(arguments).stdout(Stdio::piped()).spawn().context("cannot run cargo")?;
    let messages = BufReader::new(building.stdout.take().context("cargo has no output")?);
    let mut programs = Vec::new();
    for line in messages.lines() {
        programs.extend(Program::new(&line?));
    }
    if !building.wait()?.success() {
        bail!("the tests cannot be built");
    }
    Ok(programs)
}

impl Program {
    /// Of a message of cargo, if it tells of one.
    fn new(message: &str) -> Option<Self> {
        let artifact: Artifact = serde_json::from_str(message).ok()?;
        let executable = artifact.executable.filter(|_| artifact.profile.test)?;
        let package = artifact.manifest_path.parent()?.to_owned();
        let name = format!("{}/{}", package.file_name()?.display(), artifact.target.name);
        Some(Self { name, package, executable })
    }

    fn run(&self) -> Run {
        let began = Instant::now();
        let (passed, said) = self.try_run().unwrap_or_else(|error| (false, format!("{error:#}")));
        let took = began.elapsed();
        println!("-- {} ({:.1} s)\n{}", self.name, took.as_secs_f64(), said.trim());
        Run { name: self.name.clone(), passed, took }
    }

    /// Whether it passed, and what it said.
    fn try_run(&self) -> Result<(bool, String)> {
        let log = self.executable.with_extension("log");
        let file = File::create(&log).with_context(|| format!("cannot write {}", log.display()))?;
        let mut command = Command::new(&self.executable);
        command.current_dir(&self.package).env("CARGO_MANIFEST_DIR", &self.package);
        command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file);
        let passed = status(&mut command)?.success();
        Ok((passed, String::from_utf8_lossy(&std::fs::read(&log)?).into_owned()))
    }
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;

    #[test]
    fn programs_are_what_cargo_built_for_tests() {
        let message = |test: bool, executable: &str| {
            format!(
                r#"{{"reason":"compiler-artifact","manifest_path":"/x/mesh/Cargo.toml","target":{{"name":"demo"}},
                "profile":{{"test":{test}}},"executable":{executable}}}"#
            )
        };
        let program = Program::new(&message(true, r#""/t/demo-1""#)).expect("a program");
        assert_eq!((program.name.as_str(), program.package.as_path()), ("mesh/demo", Path::new("/x/mesh")));
        assert_eq!(program.executable, Path::new("/t/demo-1"));
        assert!(Program::new(&message(false, r#""/t/demo-1""#)).is_none());
        assert!(Program::new(&message(true, "null")).is_none());
        assert!(Program::new(r#"{"reason":"build-finished","success":true}"#).is_none());
    }
}
