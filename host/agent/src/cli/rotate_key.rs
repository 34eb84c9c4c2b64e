//! `rotate-key`: the running agent gives this server another key.

use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde_json::json;

use super::{show, socket_client};
use crate::limits::{MAX_KEY_TRANSITION, MIN_KEY_TRANSITION, ROTATE_KEY_WAIT, SOCKET_TIMEOUT};

/// A key is made on this server, and its public half told to the control plane. Both keys are answered until the
/// transition is over; then the one before is erased. Connections through the mesh go on, and lose nothing
#[derive(Args)]
pub struct Arguments {
    /// How long both keys are answered after the mesh has the next: 10s to 7d [default: 1h]
    #[arg(long, value_name = "DURATION", value_parser = transition)]
    transition: Option<Duration>,

    /// End a transition that is under way at once: who has not heard of the key by now is not answered
    #[arg(long, conflicts_with = "transition")]
    finish: bool,
}

fn transition(text: &str) -> Result<Duration, String> {
    let duration = humantime::parse_duration(text).map_err(|error| format!("{error}: write 30s, 1h or 2d"))?;
    if !(MIN_KEY_TRANSITION..=MAX_KEY_TRANSITION).contains(&duration) {
        return Err("give 10s to 7d".to_owned());
    }
    Ok(duration)
}

/// Rotates, and waits until the mesh has the key.
pub async fn main(socket: &Path, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    if arguments.finish {
        let finished = socket_client::post(socket, "/rotate-key/finish", ROTATE_KEY_WAIT).await?;
        if json {
            show::print_json(&finished)?;
        } else {
            println!("the key before is erased; the key is {}", show::text(&finished["public_key"]));
        }
        return Ok(ExitCode::SUCCESS);
    }
    let transition = arguments.transition.map(|transition| format!("&transition={}", transition.as_secs()));
    let path = format!("/rotate-key?wait={}{}", ROTATE_KEY_WAIT.as_secs(), transition.unwrap_or_default());
    let answer = socket_client::post(socket, &path, ROTATE_KEY_WAIT + SOCKET_TIMEOUT).await?;
    let rotation = &answer["rotation"];
    let in_mesh = answer["in_mesh"] == true;
    if json {
        show::print_json(&json!({
            "in_mesh": in_mesh,
            "public_key": rotation["next_key"],
            "previous_key": rotation["previous_key"],
            "since": rotation["since"],
            "until": rotation["until"],
            "problem": answer["problem"],
        }))?;
        return Ok(if in_mesh { ExitCode::SUCCESS } else { ExitCode::FAILURE });
    }
    if !in_mesh {
        bail!(
            "the rotation is under way and goes on by itself; the mesh does not have the key yet ({}): see \
             `servos-agent status`",
            answer["problem"].as_str().unwrap_or("no problem is known")
        );
    }
    println!("the mesh has this server's key {}", show::text(&rotation["next_key"]));
    let (before, until) = (show::text(&rotation["previous_key"]), show::text(&rotation["until"]));
    println!("{before} is answered beside it until {until}, then erased");
    Ok(ExitCode::SUCCESS)
}
