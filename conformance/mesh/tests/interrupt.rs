//! Ctrl-C leaves nothing behind: neither programs nor namespaces nor folders.

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servos_lab::wait_for;

#[test]
fn of_a_demonstration() -> Result<()> {
    leaves_nothing(Command::new(env!("CARGO_BIN_EXE_servos-demo")).arg("--json"), "control/control.log")
}

#[test]
fn of_a_benchmark() -> Result<()> {
    leaves_nothing(Command::new(env!("CARGO_BIN_EXE_servos-bench")).args(["tunnel", "--quick"]), "two/device.log")
}

/// Interrupts the program once its laboratory has `file`.
fn leaves_nothing(program: &mut Command, file: &str) -> Result<()> {
    let mut program = program.stdout(Stdio::null()).spawn()?;
    let outcome = interrupt(&mut program, file);
    // One that did not end does not go on beside other tests; what it leaves is removed by the next laboratory.
    let _ = program.kill();
    outcome
}

fn interrupt(program: &mut Child, file: &str) -> Result<()> {
    let folder = std::env::temp_dir().join(format!("servos-lab-{}-0", program.id()));
    wait_for("what it starts", Duration::from_secs(60), || {
        ensure!(folder.join(file).exists(), "no {file} in {}", folder.display());
        Ok(())
    })?;
    Command::new("kill").args(["-INT", &program.id().to_string()]).status()?;
    let status = wait_for("its end", Duration::from_secs(60), || program.try_wait()?.context("it still runs"))?;
    ensure!(status.code() == Some(1), "{status}");
    ensure!(!folder.exists(), "{} is left", folder.display());
    let prefix = format!("s{:x}0-", program.id() & 0xffff);
    let namespaces = Command::new("ip").args(["netns", "list"]).output()?;
    ensure!(!String::from_utf8_lossy(&namespaces.stdout).contains(&prefix), "a namespace is left");
    Ok(())
}
