//! Builds the guests into `target/guests/`: plugins as components, the eBPF program as an object with BTF.

use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde_json::Value;
use wasm_encoder::{ComponentSection as _, CustomSection};

use crate::places;
use crate::toolchains;

/// The default plugins, which the agent carries; each lies in `plugins/` and becomes `NAME.wasm`.
const PLUGINS: [&str; 3] = ["dns-naming", "traefik-failover", "ufw-policy"];

/// First bytes of a component (WebAssembly component model, binary format): magic, version 13, layer 1.
const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 13, 0, 1, 0];

/// Builds all guests. One that fails keeps no other from being built.
pub fn build() -> Result<()> {
    std::fs::create_dir_all(places::guests())?;
    let mut failed = Vec::new();
    let mut tried = |file: &str, built: Result<()>| {
        if let Err(error) = built {
            eprintln!("{file}: {error:#}");
            failed.push(file.to_owned());
        }
    };
    for plugin in PLUGINS {
        let file = format!("{plugin}.wasm");
        tried(&file, component(&places::root().join("plugins").join(plugin), &file));
    }
    for folder in examples()? {
        let name = folder.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let file = format!("{}.wasm", name.strip_prefix("rust-").unwrap_or(&name));
        tried(&file, component(&folder, &file));
    }
    tried("mesh-wakeup.o", ebpf());
    if !failed.is_empty() {
        bail!("not built: {}", failed.join(", "));
    }
    Ok(())
}

/// Example plugins that are Rust crates, by name.
fn examples() -> Result<Vec<PathBuf>> {
    let folder = places::root().join("sdk/examples");
    if !folder.exists() {
        return Ok(Vec::new());
    }
    let entries = std::fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    let mut crates: Vec<_> = entries.flatten().map(|entry| entry.path()).collect();
    crates.retain(|path| path.join("Cargo.toml").exists());
    crates.sort();
    Ok(crates)
}

/// Builds the plugin whose crate lies in `folder`, of this workspace or of its own, into `target/guests/<file>`.
pub fn component(folder: &Path, file: &str) -> Result<()> {
    let toolchain = toolchains::wasm().context("no compiler for plugins: run `cargo xtask setup`")?;
    let linker = toolchains::component_linker().context(
        "wasm-component-ld is missing: it comes with rustup's stable toolchain, `rustup toolchain install stable`",
    )?;
    let library = Library::of(folder)?;
    let mut command = toolchains::wasm_cargo(&toolchain, &linker);
    // A cdylib alone: Cargo leaves link-time optimisation out where a library is made beside it.
    command.current_dir(folder).args(["--quiet", "--lib", "--crate-type", "cdylib", "--profile", library.profile]);
    crate::command::run(&mut command)?;
    let products = places::guest_target().join("wasm32-unknown-unknown").join(library.profile);
    let built = products.join(format!("{}.wasm", library.name));
    let mut bytes = std::fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?;
    if !bytes.starts_with(&COMPONENT) {
        bail!("{} is a core module and no component", built.display());
    }
    // As `servos-plugin build` does.
    let version = CustomSection { name: "version".into(), data: library.version.as_bytes().into() };
    version.append_to_component(&mut bytes);
    keep(file, &bytes)
}

/// What Cargo makes of a plugin's crate.
struct Library {
    /// Of the file: the target's name with underscores.
    name: String,
    version: String,
    /// `guest` is this workspace's own; a crate outside it has none of that name.
    profile: &'static str,
}

impl Library {
    fn of(folder: &Path) -> Result<Self> {
        let output = Command::new("cargo")
            .args(["metadata", "--no-deps", "--format-version", "1"])
            .current_dir(folder)
            .output()
            .context("cannot run cargo metadata")?;
        if !output.status.success() {
            bail!("cargo metadata failed in {}: {}", folder.display(), String::from_utf8_lossy(&output.stderr).trim());
        }
        let metadata: Value = serde_json::from_slice(&output.stdout).context("cargo metadata gives no JSON")?;
        let manifest = folder.join("Cargo.toml");
        let packages = metadata["packages"].as_array().map_or(&[][..], Vec::as_slice);
        let package =
            packages.iter().find(|package| package["manifest_path"].as_str().map(Path::new) == Some(&manifest));
        let targets = package.and_then(|package| package["targets"].as_array()).map_or(&[][..], Vec::as_slice);
        let is_cdylib = |target: &&Value| {
            target["crate_types"].as_array().is_some_and(|types| types.iter().any(|kind| kind == "cdylib"))
        };
        let name = targets.iter().find(is_cdylib).and_then(|target| target["name"].as_str());
        let name = name.with_context(|| format!("{} has no library of crate-type cdylib", manifest.display()))?;
        let ours = metadata["workspace_root"].as_str().map(Path::new) == Some(&places::root());
        let version = package.and_then(|package| package["version"].as_str()).unwrap_or_default().to_owned();
        Ok(Self { name: name.replace('-', "_"), version, profile: if ours { "guest" } else { "release" } })
    }
}

fn ebpf() -> Result<()> {
    let toolchain = toolchains::bpf().context("no compiler for the eBPF program: run `cargo xtask setup`")?;
    let mut command = toolchains::bpf_cargo(&toolchain);
    command.current_dir(places::root().join("bpf/mesh-wakeup")).arg("--quiet");
    crate::command::run(&mut command)?;
    let built = places::guest_target().join("bpf/bpfel-unknown-none/release/mesh-wakeup");
    keep("mesh-wakeup.o", &std::fs::read(&built).with_context(|| format!("cannot read {}", built.display()))?)
}

/// Writes only what changed: the agent is rebuilt when a guest's time stamp moves.
fn keep(file: &str, bytes: &[u8]) -> Result<()> {
    let path = places::guests().join(file);
    if std::fs::read(&path).is_ok_and(|before| before == bytes) {
        return Ok(());
    }
    eprintln!("built {file}, {} KiB", bytes.len().div_ceil(1024));
    std::fs::write(&path, bytes).with_context(|| format!("cannot write {}", path.display()))
}
