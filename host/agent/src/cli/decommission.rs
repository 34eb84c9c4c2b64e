//! `decommission`: out of the mesh, and everything back as it was.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use servos_tunnel::Tunnel;

use super::{require_root, show};
use crate::control_client::ControlClient;
use crate::durable_file;
use crate::error_chain::chain;
use crate::executors::{failover, firewall, names};
use crate::identity;
use crate::run;
use crate::service_unit;
use crate::settings::{Settings, kept_settings};

#[derive(Args)]
pub struct Arguments {
    /// Do not ask
    #[arg(long)]
    yes: bool,

    /// Go on though the control plane cannot be told; delete the server there by hand
    #[arg(long)]
    force: bool,

    /// Leave firewall, resolver and Traefik's file alone: only leave the mesh and forget the key
    #[arg(long)]
    no_cleanup: bool,
}

/// Leaves the mesh, stops the agent, takes back what it did, forgets the key.
pub async fn main(settings: &Settings, config: &Path, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    require_root("`decommission`")?;
    let commissioned = identity::load(&settings.paths)?;
    let identity = commissioned.identity;
    if !arguments.yes {
        bail!(
            "this takes {} out of the mesh of {} and forgets its key: say --yes",
            identity.name,
            identity.organisation
        );
    }
    service_unit::stop_and_remove()?;
    // One that still starts answers nobody.
    let _lock = run::lock(&settings.paths).context("the agent still runs, outside systemd: end it first")?;
    let client = ControlClient::new(&identity.control_url, identity.fingerprint(), commissioned.credential)?;
    let mut notes = Vec::new();
    match client.leave().await {
        Ok(()) => {}
        Err(error) if error.is_unauthorised() => notes.push("the control plane had already forgotten it".to_owned()),
        Err(error) if arguments.force => notes.push(format!("the control plane was not told: {error}")),
        Err(error) => return Err(error).context("nothing forgotten; --force goes on without the control plane"),
    }
    if !arguments.no_cleanup {
        notes.extend(firewall::take_back(settings).await);
        notes.extend(names::take_back(settings).await);
        notes.extend(failover::take_back(settings));
    }
    // It stayed, closed, so that nothing left in clear; nobody is a peer any more.
    if let Err(problem) = Tunnel::remove_left(&settings.tunnel.interface) {
        notes.push(chain(&problem));
    }
    identity::forget(&settings.paths)?;
    // Of the settings only the operator's own stay.
    if let Err(problem) = durable_file::remove(&kept_settings(config)) {
        notes.push(format!("{} stays: {problem}", kept_settings(config).display()));
    }
    if json {
        show::print_json(&json!({ "name": identity.name, "organisation": identity.organisation, "notes": notes }))?;
    } else {
        for note in &notes {
            println!("note: {note}");
        }
        println!("{} has left the mesh of {}", identity.name, identity.organisation);
    }
    Ok(ExitCode::SUCCESS)
}

/// Puts the host's resolver back after the agent has ended, however it ended.
pub async fn restore_resolver(settings: &Settings) -> Result<ExitCode> {
    for note in names::take_back(settings).await {
        eprintln!("servos-agent: {note}");
    }
    Ok(ExitCode::SUCCESS)
}
