//! Which compilers build the guests: rustup's own components where they are, Debian's packages otherwise.

use std::path::PathBuf;
use std::process::Command;

use crate::command::output;
use crate::places;

/// Builds plugins for `wasm32-unknown-unknown`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum WasmToolchain {
    /// `rustup target add wasm32-unknown-unknown` was done.
    Rustup,
    /// `rustc-web`, which has the sources of its standard library, and LLVM's linker.
    Debian,
}

/// Builds the eBPF program for `bpfel-unknown-none`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum BpfToolchain {
    /// A nightly with `rust-src`, and the `bpf-linker` in the path that was built for it.
    Nightly,
    /// `rustc-web` with `libstd-rust-web-dev-bpf`.
    Debian,
}

impl WasmToolchain {
    /// For the table of `setup`.
    pub fn place(&self) -> &'static str {
        match self {
            Self::Rustup => "rustup's target wasm32-unknown-unknown",
            Self::Debian => DEBIAN_RUSTC,
        }
    }
}

impl BpfToolchain {
    /// For the table of `setup`.
    pub fn place(&self) -> &'static str {
        match self {
            Self::Nightly => "rustup's nightly, and bpf-linker in the path",
            Self::Debian => DEBIAN_RUSTC,
        }
    }
}

/// Debian's second compiler.
pub const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
/// LLVM of Debian's compiler.
pub const DEBIAN_LLVM: &str = "/usr/lib/llvm-22";
const DEBIAN_WASM_LD: &str = "/usr/bin/wasm-ld-22";

/// What builds plugins here.
pub fn wasm() -> Option<WasmToolchain> {
    let sysroot = output("rustc", &["--print", "sysroot"])?;
    if PathBuf::from(&sysroot).join("lib/rustlib/wasm32-unknown-unknown/lib").is_dir() {
        return Some(WasmToolchain::Rustup);
    }
    let sources = output(DEBIAN_RUSTC, &["--print", "sysroot"])
        .is_some_and(|sysroot| PathBuf::from(sysroot).join("lib/rustlib/src/rust/library/Cargo.lock").exists());
    (sources && PathBuf::from(DEBIAN_WASM_LD).exists()).then_some(WasmToolchain::Debian)
}

/// What builds the eBPF program here.
pub fn bpf() -> Option<BpfToolchain> {
    let nightly = output("rustc", &["+nightly", "--print", "sysroot"])
        .is_some_and(|sysroot| PathBuf::from(sysroot).join("lib/rustlib/src/rust/library/Cargo.lock").exists());
    // Bitcode is read by a linker of the same LLVM alone: ours is for Debian's compiler.
    if nightly && output("bpf-linker", &["--version"]).is_some() {
        return Some(BpfToolchain::Nightly);
    }
    let core = output(DEBIAN_RUSTC, &["--print", "sysroot"])
        .is_some_and(|sysroot| PathBuf::from(sysroot).join("lib/rustlib/bpfel-unknown-none/lib").is_dir());
    core.then_some(BpfToolchain::Debian)
}

/// Turns what wasm-ld links into a component.
pub fn component_linker() -> Option<PathBuf> {
    let sysroot = PathBuf::from(output("rustc", &["--print", "sysroot"])?);
    let found = sysroot.join("lib/rustlib/x86_64-unknown-linux-gnu/bin/wasm-component-ld");
    let host = output("rustc", &["-vV"])?;
    let host = host.lines().find_map(|line| line.strip_prefix("host: "))?.to_owned();
    let own = sysroot.join(format!("lib/rustlib/{host}/bin/wasm-component-ld"));
    [own, found].into_iter().find(|path| path.exists())
}

/// `bpf-linker` of the cache, for Debian's compiler.
pub fn bpf_linker() -> PathBuf {
    places::tools().join("bin/bpf-linker")
}

/// The environment and arguments of Cargo for a guest of `wasm32-unknown-unknown`.
pub fn wasm_cargo(toolchain: &WasmToolchain, linker: &std::path::Path) -> Command {
    let mut command = Command::new("cargo");
    let mut flags = vec![format!("-Clinker={}", linker.display()), "-Clinker-flavor=wasm-ld".to_owned()];
    command.arg("rustc").args(["--target", "wasm32-unknown-unknown"]).env_remove("RUSTFLAGS");
    if *toolchain == WasmToolchain::Debian {
        flags.push(format!("-Clink-arg=--wasm-ld-path={DEBIAN_WASM_LD}"));
        command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
    }
    // A wrapper of the host's compiler must not stand in for this one.
    command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f")).env_remove("RUSTC_WRAPPER");
    command.env("CARGO_TARGET_DIR", places::guest_target());
    command
}

/// The environment and arguments of Cargo for the eBPF program.
pub fn bpf_cargo(toolchain: &BpfToolchain) -> Command {
    let mut command = Command::new("cargo");
    let linker = match toolchain {
        BpfToolchain::Nightly => {
            command.arg("+nightly").arg("build").arg("-Zbuild-std=core");
            PathBuf::from("bpf-linker")
        }
        BpfToolchain::Debian => {
            command.arg("build").env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1");
            bpf_linker()
        }
    };
    let linker = format!("-Clinker={}", linker.display());
    let flags = [&linker, "-Clink-arg=--btf", "-Cdebuginfo=2", "-Cpanic=abort"].join("\x1f");
    command.args(["--release", "--target", "bpfel-unknown-none"]);
    command.env("CARGO_ENCODED_RUSTFLAGS", flags).env_remove("RUSTFLAGS").env_remove("RUSTC_WRAPPER");
    command.env("CARGO_TARGET_DIR", places::guest_target().join("bpf"));
    command
}
