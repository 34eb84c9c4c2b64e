//! Runs one tunnel from a JSON file, for tests and measurements. `tunnel FILE`, or `tunnel --mtu ADDRESS`.
//!
//! It takes commands on its standard input, a line each, and answers with a line of JSON: `apply` (reads the file
//! again), `sessions`, `counters`, `mtu N`, `quit`. `--mtu` prints the tunnel's MTU for the way to an address, and again
//! whenever it changes.

use std::error::Error;
use std::io::{BufRead as _, stdin};
use std::net::{IpAddr, SocketAddr};
use std::process::ExitCode;
use std::sync::Arc;
use std::time::Duration;

use serde_json::{Value, json};
use servos_mesh::{MeshAddress, MeshStateBuilder, PeerEntry, PeerTable, Revision};
use servos_tunnel::limits::Limits;
use servos_tunnel::{PrivateKey, Tunnel, TunnelConfig, mtu};

fn main() -> ExitCode {
    tracing_subscriber::fmt().with_env_filter("warn,netlink_packet_route=error").with_writer(std::io::stderr).init();
    match run() {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprint!("{error}");
            let mut cause = error.source();
            while let Some(error) = cause {
                eprint!(": {error}");
                cause = error.source();
            }
            eprintln!();
            ExitCode::FAILURE
        }
    }
}

fn run() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.as_slice() {
        [option, address] if option == "--mtu" => follow_mtu(address.parse()?),
        [file] => serve(file),
        _ => Err("usage: tunnel FILE | tunnel --mtu ADDRESS".into()),
    }
}

fn serve(file: &str) -> Result<(), Box<dyn Error>> {
    let settings: Value = serde_json::from_slice(&std::fs::read(file)?)?;
    let config = TunnelConfig {
        interface: text(&settings, "interface")?.to_owned(),
        private_key: PrivateKey::from_base64(text(&settings, "private_key")?)?,
        listen_port: u16::try_from(settings["listen_port"].as_u64().unwrap_or(0))?,
        address: text(&settings, "address")?.parse()?,
        mtu: u16::try_from(settings["mtu"].as_u64().unwrap_or(1_420))?,
        lanes: usize::try_from(settings["lanes"].as_u64().unwrap_or(1))?.try_into()?,
        stays: settings["stays"].as_bool().unwrap_or(false),
        handshakes: None,
        sessions: settings["sessions"].as_str().map(Into::into),
    };
    let mut limits = Limits::default();
    if let Some(millis) = settings["session_idle_ms"].as_u64() {
        limits.session_idle = Duration::from_millis(millis);
    }
    let tunnel = Tunnel::start_with(config, limits, table(&settings)?)?;
    println!("{}", json!({ "up": tunnel.port() }));
    for line in stdin().lock().lines() {
        let line = line?;
        let answer = match line.split_once(' ').unwrap_or((&line, "")) {
            ("apply", _) => json!(tunnel.apply(table(&serde_json::from_slice(&std::fs::read(file)?)?)?)),
            ("sessions", _) => json!(tunnel.sessions()),
            ("counters", _) => json!(tunnel.counters()),
            ("mtu", mtu) => json!(tunnel.set_mtu(mtu.parse()?).map_err(|error| error.to_string())),
            ("quit", _) => break,
            _ => json!({ "error": "unknown command" }),
        };
        println!("{answer}");
    }
    tunnel.shutdown();
    Ok(())
}

fn table(settings: &Value) -> Result<Arc<PeerTable>, Box<dyn Error>> {
    let mut builder = MeshStateBuilder::new([1; 16], "example", "mesh.internal".parse()?, Revision(1));
    for peer in settings["peers"].as_array().into_iter().flatten() {
        let address: MeshAddress = text(peer, "address")?.parse()?;
        let endpoint: Option<SocketAddr> = peer["endpoint"].as_str().map(str::parse).transpose()?;
        builder.peer(PeerEntry {
            public_key: text(peer, "public_key")?.parse()?,
            key_generation: servos_mesh::KeyGeneration::FIRST,
            endpoint,
            address,
            name: format!("p{}", address.index()).parse()?,
            since: Revision(1),
        });
    }
    Ok(Arc::new(PeerTable::new(Arc::new(builder.build()?), None)))
}

fn text<'a>(value: &'a Value, key: &str) -> Result<&'a str, String> {
    value[key].as_str().ok_or_else(|| format!("`{key}` is missing, or no text"))
}

fn follow_mtu(address: IpAddr) -> Result<(), Box<dyn Error>> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let mut changes = mtu::watch(address).await?;
        loop {
            println!("{}", *changes.borrow_and_update());
            changes.changed().await?;
        }
    })
}
