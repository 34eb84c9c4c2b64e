//! A plugin in Rust: Cargo, for a target that makes a component.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Built, Output, run, rust_toolchain};

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Package>,
    target_directory: PathBuf,
}

#[derive(Deserialize)]
struct Package {
    name: String,
    version: String,
    manifest_path: PathBuf,
    targets: Vec<Target>,
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

/// Builds.
pub fn build(folder: &Path, output: &Output) -> Result<Option<Built>> {
    let toolchain = rust_toolchain::find()?;
    let metadata = metadata(folder)?;
    let manifest = folder.join("Cargo.toml");
    let package = metadata.packages.into_iter().find(|package| package.manifest_path == manifest);
    let package = package.with_context(|| format!("{} describes no package", manifest.display()))?;
    let library = package.targets.iter().find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"));
    let Some(library) = library else {
        bail!("{}: give its library `crate-type = [\"cdylib\", \"rlib\"]`", manifest.display());
    };
    let mut command = toolchain.cargo();
    // A cdylib alone: Cargo leaves link-time optimisation out where a library is made beside it.
    command.current_dir(folder).args(["--quiet", "--release", "--lib", "--crate-type", "cdylib"]);
    if !run(&mut command)? {
        return Ok(None);
    }
    let file = format!("{}.wasm", library.name.replace('-', "_"));
    let built = metadata.target_directory.join(toolchain.target()).join("release").join(file);
    let path = output.path(&package.name);
    std::fs::copy(&built, &path).with_context(|| format!("cannot copy {} to {}", built.display(), path.display()))?;
    Ok(Some(Built { name: package.name, version: Some(package.version) }))
}

fn metadata(folder: &Path) -> Result<Metadata> {
    let mut command = Command::new("cargo");
    command.args(["metadata", "--no-deps", "--format-version", "1"]).current_dir(folder);
    let output = command.output().context("cannot run cargo: install Rust with rustup")?;
    if !output.status.success() {
        bail!("cargo metadata failed: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    serde_json::from_slice(&output.stdout).context("cargo metadata gives no JSON")
}
