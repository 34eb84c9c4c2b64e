//! `plugin`: what the running agent says of its plugins and does with them, and what their authors need.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::{Args, Subcommand};
use serde_json::Value;

use super::show::{age, array, bytes, print_json, state, table, text};
use super::socket_client;
use crate::limits::SOCKET_TIMEOUT;

/// Arguments of `plugin`.
#[derive(Subcommand)]
pub enum Command {
    /// The plugins in the order in which they are asked, with their state and what they may do
    List,
    /// All that is known of one plugin
    Show(Name),
    /// Ask a plugin again that was set aside after repeated faults
    Reset(Name),
    #[command(flatten)]
    Author(servos_plugin_cli::Command),
}

/// A plugin.
#[derive(Args)]
pub struct Name {
    /// As `plugin list` names it: a file's name without `.wasm`, or a plugin of the bundle
    #[arg(value_name = "NAME", value_parser = name)]
    name: String,
}

/// What can stand in a question to the socket as it is.
fn name(text: &str) -> Result<String, &'static str> {
    let fine = |byte: u8| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte);
    match !text.is_empty() && text.bytes().all(fine) {
        true => Ok(text.to_owned()),
        false => Err("a plugin's name has letters, digits, '-', '_', '.'"),
    }
}

/// `plugin list`.
pub async fn list(socket: &Path, json: bool) -> Result<ExitCode> {
    let answer = socket_client::get(socket, "/plugins").await?;
    if json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["PLUGIN", "KIND", "ORIGIN", "STATE", "GRANTS", "CALLS", "FAULTS"]);
    for plugin in array(&answer["plugins"]) {
        table.add_row([
            text(&plugin["name"]),
            text(&plugin["kind"]),
            state(&plugin["origin"]),
            state(&plugin["state"]),
            grants(plugin),
            text(&plugin["calls"]),
            text(&plugin["faults"]),
        ]);
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}

/// `plugin show`. Fails if there is none of that name.
pub async fn show(socket: &Path, Name { name }: &Name, json: bool) -> Result<ExitCode> {
    let answer = socket_client::get(socket, "/plugins").await?;
    let plugins = array(&answer["plugins"]);
    let Some(plugin) = plugins.iter().find(|plugin| plugin["name"] == **name) else {
        let names: Vec<_> = plugins.iter().map(|plugin| text(&plugin["name"])).collect();
        bail!("no plugin {name:?}; there are: {}", names.join(", "));
    };
    if json {
        print_json(plugin)?;
        return Ok(ExitCode::SUCCESS);
    }
    for (head, line) in [
        ("plugin", text(&plugin["name"])),
        ("state", state(&plugin["state"])),
        ("origin", state(&plugin["origin"])),
        ("world", text(&plugin["world"])),
        ("grants", grants(plugin)),
        ("version", text(&plugin["version"])),
        ("sha256", text(&plugin["sha256"])),
        ("calls", text(&plugin["calls"])),
        ("faults", faults(plugin)),
        ("memory", format!("{} at most in one instance", bytes(&plugin["memory_peak_bytes"]))),
    ] {
        println!("{head:<9} {line}");
    }
    if let Some(refused) = plugin["refused_update"].as_str() {
        println!("its file  is refused, what ran before goes on: {refused}");
    }
    if let Some(fault) = plugin["last_fault"].as_object() {
        println!("last      {}, {}", text(&fault["message"]), age(&fault["at"]));
    }
    latency(&plugin["latency"]);
    for line in array(&plugin["log"]) {
        println!("log       {} {}: {}", text(&line["at"]), text(&line["level"]), text(&line["message"]));
    }
    if plugin["log_lines_dropped"].as_u64() > Some(0) {
        println!("          {} lines over its rate were dropped", plugin["log_lines_dropped"]);
    }
    Ok(ExitCode::SUCCESS)
}

/// `plugin reset`. Fails if none of that name runs.
pub async fn reset(socket: &Path, Name { name }: &Name, json: bool) -> Result<ExitCode> {
    let answer = socket_client::post(socket, &format!("/plugins/reset?name={name}"), SOCKET_TIMEOUT).await?;
    let plugin = answer.get("plugin").context("the agent says nothing of the plugin: is it of another version?")?;
    match json {
        true => print_json(plugin)?,
        false => println!("plugin {name} is {}; its faults are forgotten", state(&plugin["state"])),
    }
    Ok(ExitCode::SUCCESS)
}

fn grants(plugin: &Value) -> String {
    let grants: Vec<_> = array(&plugin["grants"]).iter().map(text).collect();
    // A Python guest imports all of WASI.
    let (wasi, own): (Vec<_>, Vec<_>) = grants.into_iter().partition(|grant| grant.starts_with("wasi:"));
    let wasi = (!wasi.is_empty()).then(|| format!("wasi ({})", wasi.len()));
    let all: Vec<_> = own.into_iter().chain(wasi).collect();
    if all.is_empty() { "-".to_owned() } else { all.join(", ") }
}

/// `7 (trap 5, deadline 2)`.
fn faults(plugin: &Value) -> String {
    let by_kind = plugin["faults_by_kind"].as_object();
    let some: Vec<_> = by_kind
        .into_iter()
        .flatten()
        .filter(|(_, count)| count.as_u64() > Some(0))
        .map(|(kind, count)| format!("{kind} {count}"))
        .collect();
    let all = text(&plugin["faults"]);
    if some.is_empty() { all } else { format!("{all} ({})", some.join(", ")) }
}

/// The buckets that hold calls.
fn latency(latency: &Value) {
    let mut before = 0;
    for bucket in array(&latency["buckets"]) {
        let upto = bucket["count"].as_u64().unwrap_or_default();
        if upto > before {
            let seconds = bucket["le_seconds"].as_f64().unwrap_or_default();
            println!("took      up to {:>9} {:>10} calls", format!("{} ms", seconds * 1_000.0), upto - before);
        }
        before = upto;
    }
    let all = latency["count"].as_u64().unwrap_or_default();
    if all > before {
        println!("took      longer          {:>10} calls", all - before);
    }
}
