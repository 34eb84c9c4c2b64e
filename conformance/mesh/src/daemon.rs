//! A program that runs until it is dropped; ended by its own pid.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// How long a program may take to end after SIGTERM.
const GRACE: Duration = Duration::from_secs(15);

/// A running program with its log.
#[derive(Debug)]
pub struct Daemon {
    child: Child,
    log: PathBuf,
}

impl Daemon {
    pub(crate) fn start(mut command: Command, input: &str, log: PathBuf) -> Result<Self> {
        let file = File::options().create(true).append(true).open(&log)?;
        // Ctrl-C is for the laboratory: it ends its programs in order.
        command.process_group(0).stdin(Stdio::piped()).stdout(file.try_clone()?).stderr(file);
        let mut child = command.spawn().with_context(|| format!("cannot start {command:?}"))?;
        if let Some(mut stdin) = child.stdin.take() {
            // A program that does not read its input is no error.
            let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
        }
        Ok(Self { child, log })
    }

    /// The program's pid. It is not forked away from: `nsenter` and friends exec.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// What it wrote so far.
    pub fn log(&self) -> String {
        std::fs::read_to_string(&self.log).unwrap_or_default()
    }

    /// Whether it still runs.
    pub fn is_running(&mut self) -> bool {
        matches!(self.child.try_wait(), Ok(None))
    }

    /// SIGKILL, and gone.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn kill(&mut self) -> Result<()> {
        self.child.kill()?;
        self.child.wait()?;
        Ok(())
    }

    /// SIGTERM, then waits; SIGKILL if it does not go.
    ///
    /// # Errors
    ///
    /// What the system said.
    pub fn stop(&mut self) -> Result<ExitStatus> {
        if let Some(status) = self.child.try_wait()? {
            return Ok(status);
        }
        // It may have ended this moment.
        let _ = kill(Pid::from_raw(self.child.id().cast_signed()), Signal::SIGTERM);
        let deadline = Instant::now() + GRACE;
        let gone = crate::wait_for("end of the program", deadline.saturating_duration_since(Instant::now()), || {
            self.child.try_wait()?.context("it still runs")
        });
        match gone {
            Ok(status) => Ok(status),
            Err(_) => {
                self.child.kill()?;
                Ok(self.child.wait()?)
            }
        }
    }
}

impl Drop for Daemon {
    fn drop(&mut self) {
        // Best effort: its namespace of processes ends it in any case.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
