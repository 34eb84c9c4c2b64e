//! Running programs: shown as they go, or quiet with the last lines when they fail.

use std::fs::File;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// Lines of a log that are shown when a quiet program fails.
const LAST_LINES: usize = 20;

/// Runs with our own output. Its exit code is the caller's to judge.
pub fn status(command: &mut Command) -> Result<ExitStatus> {
    command.status().with_context(|| format!("cannot run {}", command.get_program().display()))
}

/// Runs with our own output; fails if it does.
pub fn run(command: &mut Command) -> Result<()> {
    let status = status(command)?;
    if !status.success() {
        bail!("{} failed ({status})", command.get_program().display());
    }
    Ok(())
}

/// Runs with its output in `log`; shows the end of it if it fails.
pub fn run_quietly(command: &mut Command, log: &Path) -> Result<()> {
    std::fs::create_dir_all(log.parent().context("the log has no folder")?)?;
    let file = File::create(log).with_context(|| format!("cannot write {}", log.display()))?;
    let status = self::status(command.stdin(Stdio::null()).stdout(file.try_clone()?).stderr(file))?;
    if !status.success() {
        let text = String::from_utf8_lossy(&std::fs::read(log).unwrap_or_default()).into_owned();
        let lines: Vec<_> = text.lines().collect();
        let last = lines[lines.len().saturating_sub(LAST_LINES)..].join("\n");
        bail!("{} failed ({status}); the end of {}:\n{last}", command.get_program().display(), log.display());
    }
    Ok(())
}

/// What a program prints, if it can be run and succeeds.
pub fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
