//! `inspect`: what a component is, imports and needs, read from its type alone.

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde::Serialize;
use servos_conformance_kit::files;
use servos_sandbox::{Kind, contract_names, version};
use wit_parser::decoding::{DecodedWasm, decode};

/// First bytes of a core module: magic, version 1, layer 0.
const CORE_MODULE: &[u8] = b"\0asm\x01\0\0\0";

/// Arguments of `inspect`.
#[derive(Args, Debug)]
pub struct Arguments {
    /// The component
    #[arg(value_name = "FILE")]
    plugin: PathBuf,

    /// Print JSON
    #[arg(long)]
    json: bool,
}

/// What was found.
#[derive(Debug, Serialize)]
struct Found {
    file: PathBuf,
    bytes: usize,
    /// The world of the contract whose extension point it exports; none if it is no plugin.
    world: Option<String>,
    kind: Option<Kind>,
    /// The version that it gives itself.
    version: Option<String>,
    /// The interface of the extension point.
    interface: Option<String>,
    imports: Vec<String>,
    exports: Vec<String>,
    /// What `[grants] imports` of its file has to name, if it has that table.
    grants: Vec<String>,
}

/// Looks into a component and prints what it is. 1: it is no plugin.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    let wasm = files::component(&arguments.plugin)?;
    if wasm.starts_with(CORE_MODULE) {
        return no_plugin(arguments, "is a core module, not a component (`wasm-tools component new` makes one)");
    }
    let (resolve, world) = match decode(&wasm) {
        Ok(DecodedWasm::Component(resolve, world)) => (resolve, world),
        Ok(DecodedWasm::WitPackage(..)) => return no_plugin(arguments, "holds a contract, and no component"),
        Err(error) => return no_plugin(arguments, &format!("is no component: {error:#}")),
    };
    let world = &resolve.worlds[world];
    let imports: Vec<_> = world.imports.keys().map(|key| resolve.name_world_key(key)).collect();
    let exports: Vec<_> = world.exports.keys().map(|key| resolve.name_world_key(key)).collect();
    let point = exports.iter().find_map(|name| Some((contract_names::extension_point(name)?, name.clone())));
    let found = Found {
        file: arguments.plugin.clone(),
        bytes: wasm.len(),
        world: point.as_ref().map(|((kind, version), _)| contract_names::world(*kind, version)),
        version: version::version(&wasm),
        kind: point.as_ref().map(|((kind, _), _)| *kind),
        interface: point.as_ref().map(|(_, name)| name.clone()),
        grants: imports.iter().filter_map(|name| contract_names::grant(name)).map(str::to_owned).collect(),
        imports,
        exports,
    };
    match arguments.json {
        true => println!("{}", serde_json::to_string_pretty(&found)?),
        false => println!("{found}"),
    }
    if found.kind.is_none() {
        return no_plugin(arguments, "exports no extension point (one of servos:plugin/naming, weighting, policy)");
    }
    Ok(ExitCode::SUCCESS)
}

fn no_plugin(arguments: &Arguments, why: &str) -> Result<ExitCode> {
    eprintln!("servos-plugin: {} {why}", arguments.plugin.display());
    Ok(ExitCode::FAILURE)
}

impl fmt::Display for Found {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "file      {}, {}", self.file.display(), kib(self.bytes))?;
        writeln!(f, "world     {}", self.world.as_deref().unwrap_or("none of servos:plugin"))?;
        writeln!(f, "version   {}", self.version.as_deref().unwrap_or("none"))?;
        writeln!(f, "exports   {}", listed(&self.exports))?;
        writeln!(f, "imports   {}", listed(&self.imports))?;
        write!(f, "grants    [grants] imports = {:?}", self.grants)
    }
}

/// A size for people.
pub fn kib(bytes: usize) -> String {
    format!("{} KiB", bytes.div_ceil(1024))
}

fn listed(names: &[String]) -> String {
    if names.is_empty() { "nothing".to_owned() } else { names.join("\n          ") }
}
