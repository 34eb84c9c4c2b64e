//! `new`: a folder with a small plugin that works.

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};

use crate::build::COMPONENTIZE_PY;
use crate::limits::MAX_NAME;
use crate::templates::{self, CONTRACT, MESH};

/// Arguments of `new`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The plugin's name, and the folder's: small letters, digits and hyphens
    #[arg(value_parser = name)]
    name: String,

    /// What the plugin decides
    #[arg(long)]
    kind: PointArgument,

    /// The language that it is written in
    #[arg(long)]
    language: Language,

    /// Folder of the SDK's crate, for a plugin in Rust: in place of the one that is published
    #[arg(long, value_name = "FOLDER")]
    sdk: Option<PathBuf>,
}

/// An extension point.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum PointArgument {
    /// What a name means
    Naming,
    /// How a service's traffic is spread over its instances
    Weighting,
    /// What the server's firewall lets in
    Policy,
}

/// A language that there are templates in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum Language {
    /// With cargo
    Rust,
    /// With componentize-qjs, from npm
    Javascript,
    /// With componentize-py, from PyPI
    Python,
}

/// Writes the template, and says what comes next.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let folder = Path::new(&arguments.name);
    let sdk = arguments.sdk.as_deref().map(sdk_folder).transpose()?;
    if sdk.is_some() && arguments.language != Language::Rust {
        bail!("--sdk is the crate of plugins in Rust: leave it out");
    }
    // Fails if there is anything: nothing is overwritten.
    std::fs::create_dir(folder).with_context(|| format!("cannot make the folder {}", folder.display()))?;
    for file in templates::files(arguments.kind, arguments.language) {
        let mut text = named(file.text, &arguments.name);
        if let (Some(sdk), "Cargo.toml") = (&sdk, file.path) {
            let path = toml::Value::String(sdk.display().to_string());
            text = text
                .replace("servos-plugin-sdk = { version = \"0.1\"", &format!("servos-plugin-sdk = {{ path = {path}"));
        }
        write(&folder.join(file.path), &text)?;
    }
    write(&folder.join("mesh.yaml"), MESH)?;
    write(&folder.join("wit/servos-plugin.wit"), CONTRACT)?;
    println!("made {}", folder.display());
    println!("next: {}", next(&arguments.name, arguments.language));
    Ok(ExitCode::SUCCESS)
}

/// What prepares the folder to be built, and builds it.
fn next(name: &str, language: Language) -> String {
    let prepared = match language {
        Language::Rust => "cargo test".to_owned(),
        Language::Javascript => "npm install && npm test".to_owned(),
        Language::Python => format!("python3 -m venv .venv && .venv/bin/pip install {COMPONENTIZE_PY}"),
    };
    format!("cd {name} && {prepared} && servos-plugin build")
}

fn write(path: &Path, text: &str) -> Result<()> {
    let named = || format!("cannot write {}", path.display());
    if let Some(folder) = path.parent() {
        std::fs::create_dir_all(folder).with_context(named)?;
    }
    std::fs::write(path, text).with_context(named)
}

/// The template's text with the plugin's name in place of `my-plugin`, as it is written in each place.
fn named(text: &str, name: &str) -> String {
    let words = name.split('-').map(|word| {
        let mut letters = word.chars();
        letters.next().map(|first| first.to_ascii_uppercase()).into_iter().chain(letters).collect::<String>()
    });
    let of_type: String = words.collect();
    text.replace("my-plugin", name).replace("my_plugin", &name.replace('-', "_")).replace("MyPlugin", &of_type)
}

fn sdk_folder(path: &Path) -> Result<PathBuf> {
    let folder = path.canonicalize().with_context(|| format!("--sdk {}", path.display()))?;
    let manifest = std::fs::read_to_string(folder.join("Cargo.toml")).unwrap_or_default();
    if !manifest.contains("name = \"servos-plugin-sdk\"") {
        bail!("--sdk {}: not the folder of the crate servos-plugin-sdk", path.display());
    }
    Ok(folder)
}

/// A name that is one of a crate, of a package of npm and of PyPI, and a file's.
fn name(text: &str) -> Result<String, String> {
    let letter = |character: char| character.is_ascii_lowercase() || character.is_ascii_digit();
    let word = |word: &str| word.starts_with(|first: char| first.is_ascii_lowercase()) && word.chars().all(letter);
    if text.len() <= MAX_NAME && text.split('-').all(word) {
        return Ok(text.to_owned());
    }
    Err(format!("words of small letters and digits, joined by hyphens, {MAX_NAME} bytes at most"))
}
