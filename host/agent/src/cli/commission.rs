//! `commission`: one command, and the server is in the mesh.

use std::io::{IsTerminal, Read, Write};
use std::net::{IpAddr, SocketAddr, UdpSocket};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitCode};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::Args;
use serde_json::json;
use servos_mesh::api::{EndpointReport, EnrolRequest};
use servos_mesh::limits::MAX_TOKEN_TEXT;
use servos_mesh::{DnsLabel, EnrolmentToken};
use servos_tunnel::PrivateKey;
use zeroize::Zeroizing;

use super::{require_root, show, socket_client};
use crate::control_client::ControlClient;
use crate::durable_file;
use crate::identity::{self, Commissioned, Identity};
use crate::limits::COMMISSION_WAIT;
use crate::service_unit;
use crate::settings::Settings;

#[derive(Args)]
pub struct Arguments {
    /// Read the token from this file instead of standard input
    #[arg(long, value_name = "FILE")]
    token_file: Option<PathBuf>,

    /// Name of this server in the mesh, a DNS label [default: the host name]
    #[arg(long)]
    name: Option<String>,

    /// Where peers reach this server [default: the address that the control plane sees, and the listen port]
    #[arg(long, value_name = "IP[:PORT]")]
    endpoint: Option<String>,

    /// Go on as `run` in the foreground: for containers and machines without systemd
    #[arg(long)]
    run: bool,

    /// Only enrol; start the agent yourself
    #[arg(long, conflicts_with = "run")]
    no_start: bool,
}

/// Enrols, keeps the identity, starts the agent, waits for the tunnel.
pub async fn main(settings: &Settings, config: &Path, arguments: &Arguments, json: bool) -> Result<ExitCode> {
    require_root("`commission`")?;
    let paths = &settings.paths;
    if identity::is_commissioned(paths) {
        let who = identity::load(paths).map(|c| format!("as {} in {}", c.identity.name, c.identity.organisation));
        bail!(
            "this server is already commissioned {}: run `servos-agent decommission` first",
            who.unwrap_or_else(|_| format!("({} exists)", paths.identity().display()))
        );
    }
    let name = server_name(arguments)?;
    let (endpoint_ip, endpoint_port) = parse_endpoint(arguments.endpoint.as_deref())?;
    check_machine(settings)?;
    let token = read_token(arguments.token_file.as_deref())?;

    let private_key = PrivateKey::generate();
    let client = ControlClient::new(token.url(), token.fingerprint().copied(), token.bearer())?;
    let request = EnrolRequest {
        name,
        public_key: private_key.public_key(),
        endpoint: EndpointReport { ip: endpoint_ip, port: endpoint_port.unwrap_or(settings.tunnel.listen_port) },
    };
    let answer = client.enrol(&request).await?;
    let identity = Identity {
        organisation: answer.organisation,
        name: answer.name,
        address: answer.address,
        domain: answer.domain,
        control_url: token.url().to_owned(),
        control_fingerprint: token.fingerprint().map(Identity::fingerprint_text),
        endpoint_ip,
        endpoint_port,
    };
    let credential = Zeroizing::new(answer.credential);
    identity::store(paths, &Commissioned { identity: identity.clone(), private_key, credential })?;
    write_default_settings(config)?;

    if arguments.run {
        eprintln!("commissioned {} with address {}; running", identity.name, identity.address);
        let program = std::env::current_exe().context("cannot find this program")?;
        let error = Command::new(program).arg("--config").arg(config).arg("run").exec();
        return Err(error).context("commissioned, and cannot start the agent: run `servos-agent run`");
    }
    let started = if arguments.no_start { false } else { service_unit::install_and_start()? };
    if started {
        wait_until_up(&paths.socket()).await?;
    }
    if json {
        show::print_json(&json!({ "name": identity.name, "organisation": identity.organisation,
            "address": identity.address, "domain": identity.domain, "started": started }))?;
    } else if started {
        println!("{} is in the mesh of {} with address {}", identity.name, identity.organisation, identity.address);
    } else {
        println!("{} is commissioned in {} with address {}", identity.name, identity.organisation, identity.address);
        println!("start the agent: servos-agent run");
    }
    Ok(ExitCode::SUCCESS)
}

fn server_name(arguments: &Arguments) -> Result<DnsLabel> {
    if let Some(name) = &arguments.name {
        return name.parse().with_context(|| "--name: give letters, digits and '-', 63 at most");
    }
    let host = nix::unistd::gethostname().context("cannot find the host name: give --name")?;
    let host = host.to_string_lossy().to_lowercase();
    let label = host.split('.').next().unwrap_or_default();
    label.parse().with_context(|| format!("the host name {host:?} does not do as a server's name: give --name"))
}

fn parse_endpoint(text: Option<&str>) -> Result<(Option<IpAddr>, Option<u16>)> {
    let Some(text) = text else { return Ok((None, None)) };
    if let Ok(ip) = text.parse::<IpAddr>() {
        return Ok((Some(ip), None));
    }
    match text.parse::<SocketAddr>() {
        Ok(socket) if socket.port() != 0 => Ok((Some(socket.ip()), Some(socket.port()))),
        _ => bail!("--endpoint {text:?} is no IP[:PORT], for example 203.0.113.7 or [2001:db8::7]:51820"),
    }
}

/// Finds out what would stop the tunnel before the token is spent.
fn check_machine(settings: &Settings) -> Result<()> {
    if !Path::new("/dev/net/tun").exists() {
        bail!("there is no /dev/net/tun: load it with `modprobe tun`, or give the container that device");
    }
    let port = settings.tunnel.listen_port;
    if let Err(error) = UdpSocket::bind(("0.0.0.0", port)) {
        bail!(
            "UDP port {port} cannot be used ({error}): end what listens there (`ss -ulpn sport = :{port}`), \
             or set listen_port under [tunnel] in the settings"
        );
    }
    Ok(())
}

fn read_token(file: Option<&Path>) -> Result<EnrolmentToken> {
    let mut text = Zeroizing::new(String::with_capacity(4 * MAX_TOKEN_TEXT));
    let limit = 2 * MAX_TOKEN_TEXT as u64;
    match file {
        Some(path) => {
            let file =
                std::fs::File::open(path).with_context(|| format!("cannot read the token file {}", path.display()))?;
            file.take(limit).read_to_string(&mut text)?;
        }
        None => {
            let stdin = std::io::stdin();
            if stdin.is_terminal() {
                eprint!("enrolment token (of `servos-control token create`): ");
                std::io::stderr().flush()?;
                stdin.read_line(&mut text)?;
            } else {
                stdin.lock().take(limit).read_to_string(&mut text)?;
            }
        }
    }
    if text.trim().is_empty() {
        bail!("no enrolment token on standard input: pipe it in, or give --token-file");
    }
    Ok(text.parse()?)
}

fn write_default_settings(config: &Path) -> Result<()> {
    if config.exists() {
        return Ok(());
    }
    let folder = config.parent().context("the settings file has no folder")?;
    std::fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
    durable_file::write(config, include_bytes!("../../agent.toml"), 0o644)
        .with_context(|| format!("cannot write {}", config.display()))
}

/// Waits until the agent has the tunnel up.
async fn wait_until_up(socket: &Path) -> Result<()> {
    let deadline = Instant::now() + COMMISSION_WAIT;
    loop {
        if let Ok(status) = socket_client::get(socket, "/status").await {
            let tunnel = status["executors"].as_array().and_then(|all| all.iter().find(|one| one["name"] == "tunnel"));
            if tunnel.is_some_and(|tunnel| tunnel["state"] == "applied") {
                return Ok(());
            }
        }
        if Instant::now() > deadline {
            bail!(
                "commissioned, but the tunnel is not up yet: see `servos-agent status` and `journalctl -u servos-agent`"
            );
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
