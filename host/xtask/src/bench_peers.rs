//! The userspace WireGuards that ours is measured against, built into the cache.

use std::process::Command;

use anyhow::{Context, Result};

use crate::command::{output, run_quietly};
use crate::{places, setup};

/// From the crate registry: name, version, name of the program. Of boringtun the version that ours began with.
const CRATES: [(&str, &str, &str); 2] =
    [("boringtun-cli", "0.7.1", "boringtun-cli"), ("gotatun-cli", "0.10.2", "gotatun")];

/// Current `wireguard-go`; its program is called `wireguard`. The project tags no releases for Go's modules.
const WIREGUARD_GO: (&str, &str) = ("golang.zx2c4.com/wireguard", "v0.0.0-20260522210424-ecfc5a8d5446");

/// Builds those that are missing. One that cannot be had is left out of the comparison, with a line that says why.
pub fn all(loud: bool) {
    for (name, version, program) in CRATES {
        note(name, setup::crate_program((name, version, program), loud));
    }
    note("current wireguard-go", wireguard_go(loud));
}

fn note(peer: &str, outcome: Result<()>) {
    if let Err(error) = outcome {
        eprintln!("{peer} is left out: {error:#}");
    }
}

fn wireguard_go(loud: bool) -> Result<()> {
    let (module, version) = WIREGUARD_GO;
    let bin = places::tools().join("bin");
    let program = bin.join("wireguard");
    let go = setup::go().context("there is no Go toolchain")?;
    let built_of = output(&go.display().to_string(), &["version", "-m", &program.display().to_string()]);
    let how = if built_of.is_some_and(|built_of| built_of.contains(version)) {
        "found"
    } else {
        eprintln!("building wireguard-go {version} (once) …");
        let mut command = Command::new(go);
        command.args(["install", &format!("{module}@{version}")]).env("GOBIN", &bin);
        run_quietly(&mut command, &places::cache().join("log/wireguard-go.log"))?;
        "built"
    };
    if loud {
        println!("{:<16} {how:<10} {}", "wireguard-go", program.display());
    }
    Ok(())
}
