//! The demonstration is a test, too.

use std::process::Command;

#[test]
fn every_step_of_the_demonstration_passes() {
    let output =
        Command::new(env!("CARGO_BIN_EXE_servos-demo")).arg("--json").output().expect("the demonstration starts");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}{}", String::from_utf8_lossy(&output.stderr));
}
