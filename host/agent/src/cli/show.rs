//! `status`, `plan`, `peers`, `services`: the agent's own answers, as JSON or for people.

use std::path::Path;
use std::process::ExitCode;

use anyhow::Result;
use comfy_table::{Table, presets};
use serde_json::Value;
use servos_mesh::timestamp;

use super::socket_client;

/// `status`. Fails if the agent names a problem.
pub async fn status(socket: &Path, json: bool) -> Result<ExitCode> {
    let status = socket_client::get(socket, "/status").await?;
    let code = if status["healthy"] == Value::Bool(true) { ExitCode::SUCCESS } else { ExitCode::FAILURE };
    if json {
        print_json(&status)?;
        return Ok(code);
    }
    let server = &status["server"];
    println!(
        "{}  {}  {}.{}  (organisation {})",
        text(&server["name"]),
        text(&server["address"]),
        text(&server["name"]),
        text(&server["domain"]),
        text(&server["organisation"])
    );
    let (mesh, control) = (&status["mesh"], &status["control"]);
    println!("mesh      revision {}, {} peers, {} services", mesh["revision"], mesh["peers"], mesh["services"]);
    println!("control   {}, last contact {}", text(&control["url"]), age(&control["last_contact"]));
    if let Some(update) = control["last_update"].as_object() {
        println!(
            "          last change {}, {}, {} servers",
            age(&update["at"]),
            text(&update["kind"]),
            update["servers"]
        );
    }
    if let Some(line) = rotation(&server["key_rotation"]) {
        println!("{line}");
    }
    for executor in array(&status["executors"]) {
        println!("{:<9} {}{}", text(&executor["name"]), text(&executor["state"]), counters(&executor["detail"]));
        if let Some(line) = wakeup(&executor["detail"]) {
            println!("{line}");
        }
        for note in array(&executor["notes"]) {
            println!("          note: {}", text(note));
        }
    }
    for plugin in array(&status["plugins"]) {
        println!("plugin    {} ({}): {}", text(&plugin["name"]), text(&plugin["kind"]), state(&plugin["state"]));
    }
    let problems = array(&status["problems"]);
    if problems.is_empty() {
        println!("no problems");
    }
    for problem in problems {
        println!("PROBLEM   {}", text(problem));
    }
    Ok(code)
}

fn rotation(rotation: &Value) -> Option<String> {
    let since = rotation["since"].as_str()?;
    let (before, next) = (text(&rotation["previous_key"]), text(&rotation["next_key"]));
    Some(match rotation["until"].as_str() {
        None => format!("key       rotation since {since}: telling the mesh {next}, both it and {before} are answered"),
        Some(until) => format!("key       rotation since {since}: {next} beside {before}, both answered until {until}"),
    })
}

/// `plan`.
pub async fn plan(socket: &Path, json: bool) -> Result<ExitCode> {
    let plan = socket_client::get(socket, "/plan").await?;
    if json {
        print_json(&plan)?;
        return Ok(ExitCode::SUCCESS);
    }
    println!("plan for revision {} (generation {})", plan["revision"], plan["generation"]);
    for (name, part) in plan["executors"].as_object().into_iter().flatten() {
        if let Some(error) = part["error"].as_str() {
            println!("{name}: cannot be planned: {error}");
            continue;
        }
        let steps = array(&part["steps"]);
        println!(
            "{name}: {}",
            if steps.is_empty() { "nothing to do".to_owned() } else { format!("{} steps", steps.len()) }
        );
        for step in steps {
            println!("  {}", text(step));
        }
        for note in array(&part["notes"]) {
            println!("  note: {}", text(note));
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// `peers`.
pub async fn peers(socket: &Path, all: bool, json: bool) -> Result<ExitCode> {
    let answer = socket_client::get(socket, if all { "/peers?all=true" } else { "/peers" }).await?;
    if json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["NAME", "ADDRESS", "ENDPOINT", "LINK", "HANDSHAKE", "RECEIVED", "SENT"]);
    let peers = array(&answer["peers"]);
    for peer in peers {
        table.add_row([
            text(&peer["name"]),
            text(&peer["address"]),
            text(&peer["endpoint"]),
            text(&peer["link"]),
            age(&peer["last_handshake"]),
            bytes(&peer["rx_bytes"]),
            bytes(&peer["tx_bytes"]),
        ]);
    }
    println!("{table}");
    if answer["total"].as_u64() > Some(peers.len() as u64) {
        println!("{} of {} peers; --all lists them", peers.len(), answer["total"]);
    }
    Ok(ExitCode::SUCCESS)
}

/// `services`.
pub async fn services(socket: &Path, json: bool) -> Result<ExitCode> {
    let answer = socket_client::get(socket, "/services").await?;
    if json {
        print_json(&answer)?;
        return Ok(ExitCode::SUCCESS);
    }
    let mut table = table(&["SERVICE", "PROTOCOL", "PORT", "FAILOVER", "INSTANCE", "WEIGHT", "HEALTH", "LINK"]);
    for service in array(&answer["services"]) {
        let head = [
            text(&service["name"]),
            text(&service["protocol"]),
            service["port"].to_string(),
            if service["mesh_failover"] == Value::Bool(true) { "yes" } else { "no" }.to_owned(),
        ];
        let instances = array(&service["instances"]);
        if instances.is_empty() {
            table.add_row(head.into_iter().chain(["none".to_owned()]));
            continue;
        }
        for instance in instances {
            table.add_row(head.iter().cloned().chain([
                format!("{}:{}", text(&instance["server"]), instance["port"]),
                instance["weight"].to_string(),
                text(&instance["health"]),
                text(&instance["link"]),
            ]));
        }
    }
    println!("{table}");
    Ok(ExitCode::SUCCESS)
}

/// Prints indented JSON.
pub fn print_json(value: &Value) -> Result<()> {
    println!("{}", serde_json::to_string_pretty(value)?);
    Ok(())
}

pub(super) fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_header(header);
    table
}

pub(super) fn array(value: &Value) -> &[Value] {
    value.as_array().map(Vec::as_slice).unwrap_or_default()
}

pub(super) fn text(value: &Value) -> String {
    match value {
        Value::Null => "-".to_owned(),
        Value::String(text) => text.clone(),
        other => other.to_string(),
    }
}

/// An enum as serde writes it: a word, or a word with what belongs to it.
pub(super) fn state(value: &Value) -> String {
    match value {
        Value::Object(fields) => {
            fields.iter().map(|(key, value)| format!("{key}: {}", state(value))).collect::<Vec<_>>().join(", ")
        }
        other => text(other),
    }
}

/// The numbers of an executor's detail, flat.
fn counters(detail: &Value) -> String {
    let Some(fields) = detail.as_object() else { return String::new() };
    let shown = |(key, value): (&String, &Value)| match value {
        Value::Number(_) | Value::String(_) | Value::Bool(_) => Some(format!("{key} {}", text(value))),
        _ => None,
    };
    let shown: Vec<_> = fields.iter().filter_map(shown).collect();
    if shown.is_empty() { String::new() } else { format!("  {}", shown.join(", ")) }
}

/// A timestamp as an age.
pub(super) fn age(value: &Value) -> String {
    match value.as_str().and_then(timestamp::age) {
        Some(age) => format!("{} ago", humantime::format_duration(age)),
        None => "never".to_owned(),
    }
}

/// What the filter on the interface did; none without an interface.
fn wakeup(detail: &Value) -> Option<String> {
    let (wakeup, counters) = (detail.get("wakeup")?, &detail["wakeup"]["counters"]);
    Some(match wakeup["attached"].as_bool() {
        Some(true) => format!(
            "wakeup    filter attached  packets to nobody ended in the kernel {}, to peers in use {}, woke the tunnel {}",
            counters["unknown"], counters["active"], counters["woke"]
        ),
        _ => "wakeup    no filter: every packet goes to the tunnel".to_owned(),
    })
}

pub(super) fn bytes(value: &Value) -> String {
    let bytes = value.as_f64().unwrap_or_default();
    for (unit, size) in [("GiB", 1_073_741_824.0), ("MiB", 1_048_576.0), ("KiB", 1_024.0)] {
        if bytes >= size {
            return format!("{:.1} {unit}", bytes / size);
        }
    }
    format!("{bytes} B")
}
