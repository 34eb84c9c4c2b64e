//! `ping NAME`: ICMP echo to a server, or to what a service's name answers with, through the mesh.

use std::net::{IpAddr, Ipv4Addr};
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use surge_ping::{Client, Config, PingIdentifier, PingSequence};

use super::{show, socket_client};

#[derive(Args)]
pub struct Arguments {
    /// Server or service
    name: String,

    /// How many echoes
    #[arg(short, long, default_value_t = 3, value_parser = clap::value_parser!(u16).range(1..=1000))]
    count: u16,

    /// How long to wait for each answer
    #[arg(short = 'W', long, default_value = "2s", value_parser = humantime::parse_duration)]
    timeout: Duration,
}

/// Fails if no echo came back.
pub async fn main(socket: &Path, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    let name = arguments.name.to_lowercase();
    let path = format!("/lookup?name={}", query_text(&name)?);
    let found = socket_client::get(socket, &path).await?;
    let addresses = found["addresses"].as_array().map(Vec::as_slice).unwrap_or_default();
    let Some(address) = addresses.first().and_then(|address| address.as_str()) else {
        bail!("no server and no service is called {name:?}: see `servos-agent peers` and `servos-agent services`");
    };
    let address: Ipv4Addr = address.parse().context("the agent answers with no address")?;
    let client = Client::new(&Config::default()).context("cannot open an ICMP socket: run as root")?;
    let mut pinger = client.pinger(IpAddr::V4(address), PingIdentifier(std::process::id() as u16)).await;
    pinger.timeout(arguments.timeout);
    let mut times = Vec::new();
    for sequence in 0..arguments.count {
        match pinger.ping(PingSequence(sequence), &[0; 56]).await {
            Ok((_, time)) => {
                times.push(time);
                if !json {
                    println!("{name} ({address}): {:.3} ms", time.as_secs_f64() * 1e3);
                }
            }
            Err(error) => {
                if !json {
                    println!("{name} ({address}): {error}");
                }
            }
        }
    }
    if json {
        let micros: Vec<_> = times.iter().map(Duration::as_micros).collect();
        show::print_json(&json!({ "name": name, "kind": found["kind"], "address": address,
            "sent": arguments.count, "received": times.len(), "round_trips_us": micros }))?;
    } else {
        println!("{} of {} answered", times.len(), arguments.count);
    }
    Ok(if times.is_empty() { ExitCode::FAILURE } else { ExitCode::SUCCESS })
}

/// Names have no characters that a query would have to escape.
fn query_text(name: &str) -> Result<&str> {
    if name.is_empty()
        || name.len() > 253
        || !name.bytes().all(|b| b.is_ascii_alphanumeric() || matches!(b, b'-' | b'.' | b'_'))
    {
        bail!("{name:?} is no name of a server or a service");
    }
    Ok(name)
}
