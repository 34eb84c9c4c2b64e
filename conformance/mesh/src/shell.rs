//! Running somebody else's program to its end, with a deadline.

use std::io::Read;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// Longer than any single command of ours takes on a loaded machine.
const DEADLINE: Duration = Duration::from_secs(120);

/// How a program ended and what it said.
#[derive(Clone, Debug)]
pub struct Output {
    /// Its exit status.
    pub status: ExitStatus,
    /// Standard output.
    pub stdout: String,
    /// Standard error.
    pub stderr: String,
}

impl Output {
    /// Standard output, if the program succeeded.
    ///
    /// # Errors
    ///
    /// The program's own words.
    pub fn success(self, what: &str) -> Result<String> {
        if !self.status.success() {
            bail!("{what}: {}: {}{}", self.status, self.stdout.trim(), self.stderr.trim());
        }
        Ok(self.stdout)
    }

    /// Both outputs.
    pub fn all(&self) -> String {
        format!("{}{}", self.stdout, self.stderr)
    }
}

/// Runs a command to its end, with `input` on its standard input.
pub(crate) fn run(mut command: Command, input: &str) -> Result<Output> {
    let what = format!("{command:?}");
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().with_context(|| format!("cannot start {what}"))?;
    let pid = Pid::from_raw(child.id().cast_signed());
    if let Some(mut stdin) = child.stdin.take() {
        // A program that does not read its input is no error.
        let _ = std::io::Write::write_all(&mut stdin, input.as_bytes());
    }
    let (done, finished) = mpsc::channel();
    let collect = std::thread::spawn(move || {
        let output = collect(child);
        // The receiver is gone only after the deadline.
        let _ = done.send(());
        output
    });
    if finished.recv_timeout(DEADLINE).is_err() {
        // It may have ended this moment.
        let _ = kill(pid, Signal::SIGKILL);
        bail!("{what}: does not end within {} s", DEADLINE.as_secs());
    }
    collect.join().map_err(|_| anyhow::anyhow!("{what}: reader broke"))?
}

fn collect(mut child: Child) -> Result<Output> {
    let mut stderr = child.stderr.take().context("no stderr")?;
    let errors = std::thread::spawn(move || {
        let mut bytes = Vec::new();
        // What could be read is what there is.
        let _ = stderr.read_to_end(&mut bytes);
        bytes
    });
    let mut stdout = Vec::new();
    child.stdout.take().context("no stdout")?.read_to_end(&mut stdout)?;
    let stderr = errors.join().unwrap_or_default();
    let status = child.wait()?;
    let text = |bytes: Vec<u8>| String::from_utf8_lossy(&bytes).into_owned();
    Ok(Output { status, stdout: text(stdout), stderr: text(stderr) })
}
