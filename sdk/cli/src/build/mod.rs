//! `build`: the component from the sources in a folder, with the toolchain of their language.

mod javascript;
mod python;
mod rust;
mod rust_toolchain;

use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};

use anyhow::{Context, Result, bail};
use clap::Args;
use servos_sandbox::version;
use wasm_encoder::{ComponentSection as _, CustomSection};

pub use python::COMPONENTIZE as COMPONENTIZE_PY;

use crate::inspect::kib;
use crate::templates::CONTRACT;

/// First bytes of a component (WebAssembly component model, binary format): magic, version 13, layer 1.
const COMPONENT: [u8; 8] = [0, b'a', b's', b'm', 13, 0, 1, 0];

/// Arguments of `build`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The plugin's folder: with Cargo.toml, package.json or pyproject.toml
    #[arg(value_name = "DIR", default_value = ".")]
    folder: PathBuf,

    /// Where the component goes; DIR/NAME.wasm otherwise
    #[arg(long, short, value_name = "FILE")]
    output: Option<PathBuf>,
}

/// A way to build: the file that tells the language, and what builds it. None: the sources are at fault.
type Build = fn(&Path, &Output) -> Result<Option<Built>>;

/// What a plugin's description says of it.
struct Built {
    name: String,
    version: Option<String>,
}

/// In this order: a plugin in Rust may well have a package.json beside it.
const LANGUAGES: [(&str, Build); 3] =
    [("Cargo.toml", rust::build), ("package.json", javascript::build), ("pyproject.toml", python::build)];

/// Where the component goes once its name is known.
struct Output {
    folder: PathBuf,
    given: Option<PathBuf>,
}

impl Output {
    fn path(&self, name: &str) -> PathBuf {
        self.given.clone().unwrap_or_else(|| self.folder.join(format!("{name}.wasm")))
    }
}

/// Builds, and says where the component is and how large. 1: the sources do not build.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let named = || format!("no folder {}", arguments.folder.display());
    let folder = arguments.folder.canonicalize().with_context(named)?;
    let given = arguments.output.as_deref().map(std::path::absolute).transpose().context("--output")?;
    let Some((_, build)) = LANGUAGES.iter().find(|(file, _)| folder.join(file).is_file()) else {
        let files = LANGUAGES.map(|(file, _)| file).join(", ");
        bail!("{} has none of {files}: make a plugin with `servos-plugin new`", arguments.folder.display());
    };
    let output = Output { folder: arguments.folder.clone(), given };
    let Some(built) = build(&folder, &output)? else { return Ok(ExitCode::FAILURE) };
    let path = output.path(&built.name);
    let mut bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if !bytes.starts_with(&COMPONENT) {
        eprintln!("servos-plugin: {} is no component", path.display());
        return Ok(ExitCode::FAILURE);
    }
    if let Some(version) = built.version.filter(|_| version::version(&bytes).is_none()) {
        let section = CustomSection { name: version::SECTION.into(), data: version.as_bytes().into() };
        section.append_to_component(&mut bytes);
        std::fs::write(&path, &bytes).with_context(|| format!("cannot write {}", path.display()))?;
    }
    println!("{}, {}", path.display(), kib(bytes.len()));
    Ok(ExitCode::SUCCESS)
}

/// Runs a tool in the plugin's folder, its output shown. Whether it succeeded.
fn run(command: &mut Command) -> Result<bool> {
    let program = command.get_program().display().to_string();
    Ok(command.status().with_context(|| format!("cannot run {program}"))?.success())
}

/// A tool of a language's own packages: in the plugin's folder, or in the path.
fn tool(folder: &Path, own: &str, name: &str) -> Option<PathBuf> {
    let own = folder.join(own).join(name);
    if own.is_file() {
        return Some(own);
    }
    let path = std::env::var_os("PATH")?;
    std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file())
}

/// The contract that the plugin is built against: its own copy, or the one that this program knows.
enum Contract {
    Own(PathBuf),
    Known(tempfile::TempDir),
}

impl Contract {
    fn of(folder: &Path) -> Result<Self> {
        let own = folder.join("wit");
        if own.is_dir() {
            return Ok(Self::Own(own));
        }
        let folder = tempfile::tempdir().context("no temporary folder for the contract (TMPDIR names another)")?;
        std::fs::write(folder.path().join("servos-plugin.wit"), CONTRACT).context("cannot write the contract")?;
        Ok(Self::Known(folder))
    }

    fn path(&self) -> &Path {
        match self {
            Self::Own(path) => path,
            Self::Known(folder) => folder.path(),
        }
    }
}

/// The world of an extension point that a plugin's description names.
fn world(kind: Option<&str>, place: &str) -> Result<String> {
    match kind {
        Some(kind @ ("naming" | "weighting" | "policy")) => Ok(format!("{kind}-plugin")),
        Some(other) => bail!("{place} is {other:?}: there are naming, weighting and policy"),
        None => bail!("{place} is missing: say naming, weighting or policy"),
    }
}
