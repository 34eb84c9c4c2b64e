//! Which compiler makes components of Rust here: rustup's targets, or Debian's packages beside a stable toolchain.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Result, bail};

const DEBIAN_RUSTC: &str = "/usr/bin/rustc";
const DEBIAN_WASM_LD: &str = "/usr/bin/wasm-ld-22";

/// What builds components.
pub enum Toolchain {
    /// rustup's `wasm32-wasip2`, whose products are components.
    Wasip2,
    /// rustup's `wasm32-unknown-unknown`, linked by `wasm-component-ld`.
    Unknown {
        /// The linker.
        linker: PathBuf,
    },
    /// Debian's compiler and sources of the standard library, linked by rustup's `wasm-component-ld`.
    Debian {
        /// The linker.
        linker: PathBuf,
    },
}

/// The first that is here.
///
/// # Errors
///
/// With what to install, if none is.
pub fn find() -> Result<Toolchain> {
    let Some(sysroot) = output("rustc", &["--print", "sysroot"]).map(PathBuf::from) else {
        bail!("rustc is missing: install Rust with rustup, then `rustup target add wasm32-wasip2`");
    };
    let has = |target: &str| sysroot.join("lib/rustlib").join(target).join("lib").is_dir();
    if has("wasm32-wasip2") {
        return Ok(Toolchain::Wasip2);
    }
    let linker = component_linker(&sysroot);
    match linker {
        Some(linker) if has("wasm32-unknown-unknown") => Ok(Toolchain::Unknown { linker }),
        Some(linker) if has_debian() => Ok(Toolchain::Debian { linker }),
        _ => bail!(
            "no compiler for WebAssembly: `rustup target add wasm32-wasip2`; or on Debian \
             `apt-get install rustc-web rust-web-src lld-22` beside a stable toolchain of rustup"
        ),
    }
}

impl Toolchain {
    /// The target that it builds for.
    pub fn target(&self) -> &'static str {
        match self {
            Self::Wasip2 => "wasm32-wasip2",
            Self::Unknown { .. } | Self::Debian { .. } => "wasm32-unknown-unknown",
        }
    }

    /// `cargo rustc` with its environment and target.
    pub fn cargo(&self) -> Command {
        let mut command = Command::new("cargo");
        command.args(["rustc", "--target", self.target()]);
        // A wrapper or flags of the host's compiler must not stand in for this one's.
        command.env_remove("RUSTFLAGS").env_remove("RUSTC_WRAPPER");
        let linker = match self {
            Self::Wasip2 => return command,
            Self::Unknown { linker } | Self::Debian { linker } => linker,
        };
        let mut flags = vec![format!("-Clinker={}", linker.display()), "-Clinker-flavor=wasm-ld".to_owned()];
        if let Self::Debian { .. } = self {
            flags.push(format!("-Clink-arg=--wasm-ld-path={DEBIAN_WASM_LD}"));
            command.env("RUSTC", DEBIAN_RUSTC).env("RUSTC_BOOTSTRAP", "1").arg("-Zbuild-std=std,panic_abort");
        }
        command.env("CARGO_ENCODED_RUSTFLAGS", flags.join("\x1f"));
        command
    }
}

/// Turns what wasm-ld links into a component; comes with rustup's stable toolchains.
fn component_linker(sysroot: &Path) -> Option<PathBuf> {
    let version = output("rustc", &["-vV"])?;
    let host = version.lines().find_map(|line| line.strip_prefix("host: "))?;
    let linker = sysroot.join("lib/rustlib").join(host).join("bin/wasm-component-ld");
    linker.is_file().then_some(linker)
}

fn has_debian() -> bool {
    let sources = output(DEBIAN_RUSTC, &["--print", "sysroot"])
        .is_some_and(|sysroot| Path::new(&sysroot).join("lib/rustlib/src/rust/library/Cargo.lock").exists());
    sources && Path::new(DEBIAN_WASM_LD).exists()
}

fn output(program: &str, arguments: &[&str]) -> Option<String> {
    let output = Command::new(program).args(arguments).stdin(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).trim().to_owned())
}
