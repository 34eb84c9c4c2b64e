//! The demonstration is a test, too.

use std::process::{Command, Stdio};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use servos_lab::wait_for;

#[test]
fn every_step_of_the_demonstration_passes() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_servos-demo")).arg("--json").output().expect("the demonstration starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}

#[test]
fn ctrl_c_leaves_nothing_behind() -> Result<()> {
    let mut demo = Command::new(env!("CARGO_BIN_EXE_servos-demo")).stdout(Stdio::null()).spawn()?;
    let folder = std::env::temp_dir().join(format!("servos-lab-{}-0", demo.id()));
    wait_for("its control plane's machine", Duration::from_secs(60), || {
        ensure!(folder.join("control/control.log").exists(), "no {}", folder.display());
        Ok(())
    })?;
    Command::new("kill").args(["-INT", &demo.id().to_string()]).status()?;
    let status = wait_for("its end", Duration::from_secs(60), || demo.try_wait()?.context("it still runs"))?;
    ensure!(status.code() == Some(1), "{status}");
    ensure!(!folder.exists(), "{} is left", folder.display());
    let prefix = format!("s{:x}0-", demo.id() & 0xffff);
    let namespaces = Command::new("ip").args(["netns", "list"]).output()?;
    ensure!(!String::from_utf8_lossy(&namespaces.stdout).contains(&prefix), "a namespace is left");
    Ok(())
}
