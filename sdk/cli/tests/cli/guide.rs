//! The guide's commands work: each block of `sdk/README.md` is run, in its order, in one shell.
//!
//! What stands for something that is there already: `cargo xtask build`, since these tests were built, and `cargo xtask
//! demo`, which is the demonstration's program.

use std::os::unix::fs::PermissionsExt;
use std::process::Command;

use crate::common::{all, path, prepare, root};

/// Stands for `cargo`, where it would build this workspace.
const CARGO: &str = r#"#!/bin/sh
case "$1 $2" in
    "xtask build") ;;
    "xtask demo") shift 2; exec "$PROGRAMS/servos-demo" "$@" ;;
    *) PATH=$WITHOUT_THIS exec cargo "$@" ;;
esac
"#;

/// The blocks of commands of the guide.
fn blocks() -> Vec<String> {
    let guide = std::fs::read_to_string(root().join("sdk/README.md")).unwrap();
    let blocks = guide.split("\n```sh\n").skip(1).map(|rest| rest.split("```").next().unwrap_or_default());
    blocks.map(str::to_owned).collect()
}

#[test]
fn its_commands_lead_from_nothing_to_a_plugin_that_answers_in_the_demonstration() {
    let blocks = blocks();
    assert!(blocks.len() >= 6, "the guide has only {} blocks of commands", blocks.len());
    let shims = tempfile::tempdir().unwrap();
    let cargo = shims.path().join("cargo");
    std::fs::write(&cargo, CARGO).unwrap();
    std::fs::set_permissions(&cargo, std::fs::Permissions::from_mode(0o755)).unwrap();
    let programs = std::path::Path::new(env!("CARGO_BIN_EXE_servos-plugin")).parent().unwrap();
    // The stand-in comes before everything in the path, and again once the guide has put its own there.
    let script = format!(
        "set -euxo pipefail\nPATH=\"$SHIMS:$PATH\"\n{}",
        blocks.join("\n").replace("/debug:$PATH\"", "/debug:$PATH\"; PATH=\"$SHIMS:$PATH\"")
    );
    let mut shell = Command::new("bash");
    prepare(shell.args(["-c", &script]).current_dir(root()));
    shell.env("SHIMS", shims.path()).env("PROGRAMS", programs).env("WITHOUT_THIS", path());
    let output = shell.output().expect("bash starts");
    let said = all(&output);
    assert!(output.status.success(), "{said}");
    for expected in ["hello 5 A 100.64.0.1", "20-hello", "web-2:8080 200", "allow tcp 8080 from the mesh: service api"]
    {
        assert!(said.contains(expected), "no {expected:?} in: {said}");
    }
}
