//! A plugin in JavaScript: `componentize-qjs`, which puts the sources beside QuickJS.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Built, Contract, Output, run, tool, world};

#[derive(Deserialize)]
struct Package {
    name: String,
    version: Option<String>,
    main: Option<String>,
    #[serde(rename = "servosPlugin")]
    plugin: Option<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    kind: Option<String>,
}

/// Builds.
pub fn build(folder: &Path, output: &Output) -> Result<Option<Built>> {
    let description = folder.join("package.json");
    let named = || description.display().to_string();
    let package: Package =
        serde_json::from_str(&std::fs::read_to_string(&description).with_context(named)?).with_context(named)?;
    let kind = package.plugin.and_then(|plugin| plugin.kind);
    let world = world(kind.as_deref(), "servosPlugin.kind of package.json")?;
    let Some(tool) = tool(folder, "node_modules/.bin", "componentize-qjs") else {
        bail!("componentize-qjs is missing: run `npm install` in {}", folder.display());
    };
    let contract = Contract::of(folder)?;
    let name = package.name.rsplit('/').next().unwrap_or_default().to_owned();
    let path = std::path::absolute(output.path(&name))?;
    let mut command = componentize(&tool);
    command.current_dir(folder).arg("--wit").arg(contract.path()).args(["--world", &world]);
    command.arg("--js").arg(package.main.as_deref().unwrap_or("plugin.js")).arg("--output").arg(&path);
    // No clock, no randomness, no asynchronous calls: the agent offers none.
    command.args(["--sync", "--opt-size", "--stub-wasi"]).stdout(std::io::stderr());
    Ok(run(&mut command)?.then_some(Built { name, version: package.version }))
}

/// The tool is a module whose file has no ending, which Node.js 18 of Debian 12 does not take for one: the module that it
/// imports is run in its place.
fn componentize(tool: &Path) -> Command {
    let module = tool.canonicalize().ok().and_then(|file| Some(file.parent()?.parent()?.join("cli.mjs")));
    match module.filter(|module| module.is_file()) {
        Some(module) => {
            let mut node = Command::new("node");
            node.arg(module);
            node
        }
        None => Command::new(tool),
    }
}
