//! What a command is given: a component, and the settings beside it.

use std::io::Read;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result, bail};
use clap::Args;
use servos_sandbox::Manifest;
use servos_sandbox::limits::{MAX_MANIFEST_BYTES, MAX_WASM_BYTES};

/// A component and its settings, as every command that runs one takes them.
#[derive(Args, Debug)]
pub struct PluginFiles {
    /// The component
    #[arg(value_name = "FILE")]
    pub plugin: PathBuf,

    /// Its settings, limits and grants: the .toml file that would lie beside it
    #[arg(long, value_name = "FILE")]
    pub settings: Option<PathBuf>,
}

impl PluginFiles {
    /// Reads both.
    ///
    /// # Errors
    ///
    /// A file that cannot be read, is longer than the agent takes, or is no settings; with its name.
    pub fn read(&self) -> Result<(Vec<u8>, Manifest)> {
        let wasm = component(&self.plugin)?;
        let Some(path) = &self.settings else { return Ok((wasm, Manifest::default())) };
        let text = text(path, MAX_MANIFEST_BYTES)?;
        Ok((wasm, Manifest::parse(&text).with_context(|| path.display().to_string())?))
    }

    /// The name that the agent would give it.
    pub fn name(&self) -> String {
        self.plugin.file_stem().unwrap_or_default().to_string_lossy().into_owned()
    }
}

/// The bytes of a component.
///
/// # Errors
///
/// The file cannot be read, or is longer than the agent takes.
pub fn component(path: &Path) -> Result<Vec<u8>> {
    bytes(path, MAX_WASM_BYTES)
}

/// A file as text, no longer than `most` bytes.
///
/// # Errors
///
/// It cannot be read, is longer, or is no text.
pub fn text(path: &Path, most: u64) -> Result<String> {
    String::from_utf8(bytes(path, most)?).with_context(|| format!("{} is no UTF-8", path.display()))
}

fn bytes(path: &Path, most: u64) -> Result<Vec<u8>> {
    let named = || format!("cannot read {}", path.display());
    let mut bytes = Vec::new();
    std::fs::File::open(path).and_then(|file| file.take(most + 1).read_to_end(&mut bytes)).with_context(named)?;
    if bytes.len() as u64 > most {
        bail!("{} has more than {most} bytes", path.display());
    }
    Ok(bytes)
}
