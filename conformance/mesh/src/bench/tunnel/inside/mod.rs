//! What the bench runs on its machines: hidden subcommands of `servos-bench`, each answering in lines of JSON.

mod echo;
mod flood;
mod mesh;
mod packets;
mod reflector;
mod state;

use std::io::{BufRead as _, BufReader, Lines, Write as _};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Child, ChildStdin, ChildStdout, ExitCode, Stdio};

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use crate::machine::Machine;

pub(super) use mesh::PORT as MESH_PORT;
pub(super) use state::{SWARM, StateSize, write_delta, write_state};

/// Runs one of them.
pub fn main(arguments: &[&str]) -> ExitCode {
    match run(arguments) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("servos-bench inside {}: {error:#}", arguments.join(" "));
            ExitCode::FAILURE
        }
    }
}

fn run(arguments: &[&str]) -> Result<()> {
    match *arguments {
        ["echo-serve", address] => echo::serve(address),
        ["echo-first", address] => echo::first(address),
        ["echo", address, millis] => echo::ask(address, millis.parse()?),
        ["count", port] => packets::count(port.parse()?),
        ["send", address, rate, millis] => packets::send(address, rate.parse()?, millis.parse()?),
        ["flood", target, key, rate, different] => flood::flood(target, key, rate.parse()?, different.parse()?),
        ["reflect", port, target, key] => reflector::reflect(port.parse()?, target.parse()?, key),
        ["mesh", state, key] => mesh::serve(Path::new(state), Path::new(key)),
        _ => bail!("unknown; these are for the bench itself"),
    }
}

/// Prints one answer.
fn say(answer: &Value) -> Result<()> {
    let mut out = std::io::stdout().lock();
    writeln!(out, "{answer}")?;
    Ok(out.flush()?)
}

fn say_ready() -> Result<()> {
    say(&json!({ "ready": true }))
}

/// One of them, running on a machine. Ends when dropped.
pub(super) struct Helper {
    child: Child,
    input: ChildStdin,
    lines: Lines<BufReader<ChildStdout>>,
}

impl Helper {
    /// Starts one that says when it is ready.
    pub(super) fn start(machine: &Machine, arguments: &[&str]) -> Result<Self> {
        let mut helper = Self::launch(machine, arguments)?;
        let ready = helper.answer()?;
        ensure!(ready["ready"] == true, "{arguments:?} is not ready: {ready}");
        Ok(helper)
    }

    /// Starts one that gives nothing but its answer.
    pub(super) fn launch(machine: &Machine, arguments: &[&str]) -> Result<Self> {
        let mut command = machine.command(std::env::current_exe()?);
        command.arg("inside").args(arguments).stdin(Stdio::piped()).stdout(Stdio::piped());
        // Ctrl-C is for the laboratory: it ends its programs in order.
        let mut child = command.process_group(0).spawn().with_context(|| format!("cannot start {arguments:?}"))?;
        let input = child.stdin.take().context("no standard input")?;
        let lines = BufReader::new(child.stdout.take().context("no standard output")?).lines();
        Ok(Self { child, input, lines })
    }

    /// The next line that it says. Each of them ends by itself when there is nothing more to say.
    pub(super) fn answer(&mut self) -> Result<Value> {
        let line = self.lines.next().context("it ended without an answer")??;
        serde_json::from_str(&line).with_context(|| format!("no JSON: {line}"))
    }

    /// Tells it a line, and waits for what it says.
    pub(super) fn ask(&mut self, line: &str) -> Result<Value> {
        writeln!(self.input, "{line}")?;
        self.answer()
    }

    pub(super) fn pid(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        // It may have ended already.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A pause of the clock: of a sender that keeps a rate, whose way is reckoned from the clock and never from pauses, or of
/// devices that are to come to rest.
#[allow(clippy::disallowed_methods, reason = "time itself is to pass; nothing is waited for")]
pub(super) fn pause(duration: std::time::Duration) {
    std::thread::sleep(duration);
}
