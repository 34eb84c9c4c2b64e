//! A plugin in Python: `componentize-py`, which puts the sources beside CPython.

use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};
use serde::Deserialize;

use super::{Built, Contract, Output, run, tool, world};

/// What makes components of Python, as `pip` takes it; the templates name the same.
pub const COMPONENTIZE: &str = "componentize-py==0.25.1";

/// The module that has the class of the extension point.
const MODULE: &str = "plugin";

#[derive(Deserialize)]
struct Description {
    project: Project,
    #[serde(default)]
    tool: Tools,
}

#[derive(Deserialize)]
struct Project {
    name: String,
    version: Option<String>,
}

#[derive(Default, Deserialize)]
struct Tools {
    #[serde(rename = "servos-plugin")]
    plugin: Option<Plugin>,
}

#[derive(Deserialize)]
struct Plugin {
    kind: Option<String>,
}

/// Builds.
pub fn build(folder: &Path, output: &Output) -> Result<Option<Built>> {
    let file = folder.join("pyproject.toml");
    let named = || file.display().to_string();
    let described: Description =
        toml::from_str(&std::fs::read_to_string(&file).with_context(named)?).with_context(named)?;
    let kind = described.tool.plugin.and_then(|plugin| plugin.kind);
    let world = world(kind.as_deref(), "kind in [tool.servos-plugin] of pyproject.toml")?;
    let Some(tool) = tool(folder, ".venv/bin", "componentize-py") else {
        bail!(
            "componentize-py is missing: run `python3 -m venv .venv && .venv/bin/pip install {COMPONENTIZE}` in {}",
            folder.display()
        );
    };
    let contract = Contract::of(folder)?;
    let Project { name, version } = described.project;
    let path = std::path::absolute(output.path(&name))?;
    let mut command = Command::new(tool);
    command.current_dir(folder).arg("--wit-path").arg(contract.path()).args(["--world", &world]);
    command.args(["componentize", MODULE, "-p", "."]);
    // No clock, no randomness: the agent offers none.
    command.arg("--stub-wasi").arg("--output").arg(&path).stdout(std::io::stderr());
    Ok(run(&mut command)?.then_some(Built { name, version }))
}
