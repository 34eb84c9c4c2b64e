//! `run`: wires the rooms together and stays.

use std::fs::File;
use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use clap::{Args, ValueEnum};
use nix::fcntl::{Flock, FlockArg};
use servos_mesh::api::EndpointReport;
use servos_mesh::{MeshStateBuilder, Own, PeerTable, Revision};
use servos_sandbox::{PluginHost, PluginHostConfig};
use tokio::net::UnixListener;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tracing::{error, info, warn};
use tracing_subscriber::EnvFilter;
use zeroize::Zeroizing;

use crate::clock;
use crate::control_client::ControlClient;
use crate::durable_file;
use crate::error_chain::chain;
use crate::executors::driver::{self, Executor, Handle};
use crate::executors::failover::FailoverPart;
use crate::executors::firewall::FirewallPart;
use crate::executors::names::NamesPart;
use crate::executors::tunnel::TunnelPart;
use crate::guests;
use crate::identity::{self, Commissioned, Identity};
use crate::kept_state::KeptState;
use crate::key_files;
use crate::key_ring::KeyRing;
use crate::key_rotation::{KeyRotation, first_keys};
use crate::limits::{PREPARE_PAUSE, START_EXTENSION_MICROS};
use crate::paths::Paths;
use crate::poll::Poller;
use crate::report::Reporter;
use crate::settings::Settings;
use crate::shared_tunnel::SharedTunnel;
use crate::snapshots::{self, Sources};
use crate::status_socket::{self, Desk};

/// Arguments of `run`.
#[derive(Args)]
pub struct Arguments {
    /// Form of the log on standard error; its level is in the environment, `SERVOS_LOG=debug`
    #[arg(long, value_enum, default_value_t = LogFormat::Text)]
    log_format: LogFormat,
}

#[derive(Clone, Copy, PartialEq, Eq, ValueEnum)]
enum LogFormat {
    Text,
    Json,
}

/// Runs until SIGTERM or SIGINT. `problem`: why `settings` are not those of the file `config`.
///
/// # Errors
///
/// Only what stands in the way of running at all: not commissioned, not root, another agent already there. Whatever
/// else fails is tried again and stands in `status`.
pub fn main(settings: Settings, problem: Option<String>, config: &Path, arguments: &Arguments) -> Result<ExitCode> {
    if !nix::unistd::geteuid().is_root() {
        bail!("`run` changes network and firewall of this server and needs root: run it with sudo");
    }
    start_log(arguments.log_format);
    let (_lock, commissioned) = enter(&settings.paths)?;
    // What an agent left there that was killed while it kept them.
    let _ = config.parent().map(durable_file::sweep);
    if let Some(problem) = &problem {
        warn!(problem);
    } else if let Err(problem) = Settings::keep(config) {
        warn!(problem = chain(&problem), "a file of settings that is broken later would keep the agent from starting");
    }
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build()?;
    let tunnel = SharedTunnel::default();
    let outcome = runtime.block_on(run(settings, commissioned, Vec::from_iter(problem), tunnel.clone()));
    // A plugin call or a probe under way must not hold the end up.
    runtime.shutdown_timeout(Duration::from_secs(2));
    // The last to end: in an update the mesh is without it from here until the next agent has taken it over.
    drop(tunnel.swap(None));
    outcome.map(|()| ExitCode::SUCCESS)
}

/// Becomes the one agent of this server, and reads who it is. The lock is held before: an agent that is about to end may
/// be putting another key in its place.
///
/// # Errors
///
/// Not commissioned, or another agent is there.
pub fn enter(paths: &Paths) -> Result<(Flock<File>, Commissioned)> {
    let lock = lock(paths)?;
    let commissioned = identity::load(paths)?;
    // After the identity, which commissioning writes last: nobody writes there any more.
    if let Err(problem) = durable_file::sweep(&paths.state) {
        warn!(%problem, folder = %paths.state.display(), "unfinished files of an agent that was killed stay");
    }
    Ok((lock, commissioned))
}

async fn run(
    settings: Settings,
    commissioned: Commissioned,
    mut start_problems: Vec<String>,
    shared_tunnel: SharedTunnel,
) -> Result<()> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    let Commissioned { identity, private_key, credential } = commissioned;
    let paths = settings.paths.clone();
    let next_key = key_files::load(&paths, &private_key.public_key())?;
    let keys = Arc::new(KeyRing::new(first_keys(private_key.clone(), next_key.as_ref()), shared_tunnel.clone()));
    let own = Own { address: identity.address, public_key: keys.public_key() };

    let (table, kept, unusable) = kept_state(&settings, &identity, own)?;
    let (table_out, table) = watch::channel(Arc::new(table));
    let (snapshot_out, snapshots) = watch::channel(snapshots::first(table.borrow().clone()));
    let (stop_out, stop) = watch::channel(false);
    let (links_out, links) = mpsc::unbounded_channel();
    let mut executors = Executors { handles: Vec::new(), tasks: Vec::new(), snapshots: snapshots.clone(), stop };
    // Before plugins, which may take seconds to compile: what is known of the mesh is enough for it.
    let tunnel = TunnelPart::new(&settings, &identity, keys.clone(), shared_tunnel.clone(), links_out);
    let tunnel_nudges = tunnel.nudges();
    executors.start(tunnel, tunnel_nudges);
    let desk = Desk::new("the tunnel is up; plugins are loaded, which takes longer where they are compiled first");
    let prepared = tokio::select! {
        prepared = prepare_patiently(&settings, &identity, &credential, &desk) => Some(prepared),
        _ = terminate.recv() => None,
        _ = interrupt.recv() => None,
    };
    let Some(Prepared { plugins, client, problems }) = prepared else {
        let _ = std::fs::remove_file(paths.socket());
        return Ok(());
    };
    start_problems.extend(problems);
    let endpoint = EndpointReport {
        ip: identity.endpoint_ip,
        port: identity.endpoint_port.unwrap_or(settings.tunnel.listen_port),
    };
    let (rotation, key_rotation) = KeyRotation::new(
        paths.clone(),
        client.clone(),
        keys.clone(),
        table.clone(),
        (private_key, next_key),
        settings.tunnel.rotate_key_every,
        clock::system(),
    );
    let poller = Poller::new(client, (kept, unusable), identity.address, keys.clone(), endpoint, table_out);
    let control = poller.status();

    let failover = FailoverPart::new(&settings, plugins.clone(), snapshots.clone());
    let probes = failover.probes();
    let names = NamesPart::new(&settings, &identity, plugins.clone(), snapshots.clone());
    let names_nudges = names.nudges();
    let firewall = FirewallPart::new(&settings, plugins.clone());

    executors.start(names, names_nudges);
    executors.start(failover, plugins.changes());
    executors.start(firewall, plugins.changes());
    let Executors { handles, tasks, .. } = executors;

    desk.open(Reporter {
        identity,
        keys,
        key_rotation,
        started: Instant::now(),
        snapshots: snapshots.clone(),
        control,
        executors: handles.clone(),
        plugins: plugins.clone(),
        tunnel: shared_tunnel,
        start_problems,
    });
    let background = [
        tokio::spawn(snapshots::publish(Sources { table, probes, links }, snapshot_out)),
        tokio::spawn(poller.run()),
        tokio::spawn(rotation.run()),
        tokio::spawn(tell_systemd(handles)),
    ];

    tokio::select! {
        _ = terminate.recv() => info!("SIGTERM"),
        _ = interrupt.recv() => info!("SIGINT"),
    }
    // Nothing to be done if systemd is not there.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Stopping]);
    stop_out.send_replace(true);
    for task in background {
        task.abort();
    }
    for task in tasks {
        if let Err(problem) = task.await {
            warn!(%problem, "an executor did not end well");
        }
    }
    // The next agent removes it too; a person should not find a socket that nobody answers.
    let _ = std::fs::remove_file(paths.socket());
    info!("ended; the interface, firewall rules, Traefik's file and the kept state stay");
    Ok(())
}

/// What the tunnel does not need, and the rest does.
struct Prepared {
    plugins: Arc<PluginHost>,
    client: ControlClient,
    problems: Vec<String>,
}

/// Tries until it is there: the tunnel is up, and stays so meanwhile. Whoever asks at the status socket hears what stands in
/// the way.
async fn prepare_patiently(
    settings: &Settings,
    identity: &Identity,
    credential: &Zeroizing<String>,
    desk: &Arc<Desk>,
) -> Prepared {
    let mut is_open = false;
    loop {
        let problem = match prepare(settings, identity, credential, desk, &mut is_open).await {
            Ok(prepared) => return prepared,
            Err(problem) => format!("{problem:#}"),
        };
        error!(problem, "the tunnel is up, but nothing else; tried again");
        desk.awaits(format!("the tunnel is up, but nothing else, which is tried again: {problem}"));
        // A start that takes too long would be ended, and the tunnel with it.
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::ExtendTimeoutUsec(START_EXTENSION_MICROS)]);
        tokio::time::sleep(PREPARE_PAUSE).await;
    }
}

async fn prepare(
    settings: &Settings,
    identity: &Identity,
    credential: &Zeroizing<String>,
    desk: &Arc<Desk>,
    is_open: &mut bool,
) -> Result<Prepared> {
    if !*is_open {
        let socket = settings.paths.socket();
        let listener =
            status_socket::bind(&socket).with_context(|| format!("cannot listen on {}", socket.display()))?;
        tokio::spawn(answer(listener, desk.clone()));
        *is_open = true;
    }
    let client = ControlClient::new(&identity.control_url, identity.fingerprint(), credential.clone())?;
    let mut problems = Vec::new();
    let plugins = start_plugins(settings, &mut problems).await?;
    Ok(Prepared { plugins, client, problems })
}

async fn answer(listener: UnixListener, desk: Arc<Desk>) {
    if let Err(problem) = status_socket::serve(listener, desk).await {
        error!(%problem, "the status socket broke");
    }
}

struct Executors {
    handles: Vec<(&'static str, Handle)>,
    tasks: Vec<tokio::task::JoinHandle<()>>,
    snapshots: watch::Receiver<Arc<servos_mesh::Snapshot>>,
    stop: watch::Receiver<bool>,
}

impl Executors {
    fn start<E: Executor>(&mut self, executor: E, nudges: watch::Receiver<u64>) {
        let (handle, task) = driver::start(executor, self.snapshots.clone(), nudges, self.stop.clone());
        self.handles.push((E::NAME, handle));
        self.tasks.push(task);
    }
}

/// The state on disk; an empty mesh if there is none or it cannot be used, and why not.
fn kept_state(settings: &Settings, identity: &Identity, own: Own) -> Result<(PeerTable, KeptState, Option<String>)> {
    let unusable = match KeptState::load(&settings.paths, own) {
        Ok(Some((table, kept))) => return Ok((table, kept, None)),
        Ok(None) => None,
        Err(problem) => Some(chain(&problem)),
    };
    if let Some(problem) = &unusable {
        warn!(problem, "starting without peers until the control plane answers");
    }
    let empty = MeshStateBuilder::new([0; 16], &identity.organisation, identity.domain.clone(), Revision(0));
    let empty = empty.build().context("cannot make an empty mesh state")?;
    Ok((PeerTable::new(Arc::new(empty), Some(own)), KeptState::new(&settings.paths), unusable))
}

async fn start_plugins(settings: &Settings, problems: &mut Vec<String>) -> Result<Arc<PluginHost>> {
    let config = PluginHostConfig {
        bundle: guests::bundle(),
        disabled: settings.plugins.disabled.clone(),
        bundle_settings: settings.plugins.settings.clone(),
        folder: settings.paths.plugins.clone(),
        cache: settings.paths.plugin_cache(),
        trust: settings.plugins.trust()?,
    };
    if let Err(problem) = durable_file::private_folder(&config.cache) {
        // Plugins are compiled at each start then.
        problems.push(format!("cannot make {}: {problem}", config.cache.display()));
    }
    let host = tokio::task::spawn_blocking(move || PluginHost::new(config)).await??;
    match host.watch_folder() {
        // It watches for as long as the agent lives.
        Ok(watch) => std::mem::forget(watch),
        Err(problem) => problems.push(chain(&problem)),
    }
    Ok(host)
}

/// Takes the place of this server's one agent, for as long as the lock is held.
///
/// # Errors
///
/// An agent runs, or the file cannot be made.
pub fn lock(paths: &Paths) -> Result<Flock<File>> {
    std::fs::create_dir_all(&paths.run).with_context(|| format!("cannot make {}", paths.run.display()))?;
    let path = paths.lock();
    let file = File::create(&path).with_context(|| format!("cannot make {}", path.display()))?;
    match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
        Ok(lock) => Ok(lock),
        Err(_) => bail!("another servos-agent runs on this server ({} is locked)", path.display()),
    }
}

/// Ready once each executor has ended a round, good or bad: the control plane is not waited for.
async fn tell_systemd(handles: Vec<(&'static str, Handle)>) {
    for (_, handle) in &handles {
        handle.first_round().await;
    }
    info!("ready");
    // Nothing to be done if systemd is not there.
    let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Ready]);
    let mut patience = 0;
    if !sd_notify::watchdog_enabled(false, &mut patience) {
        return;
    }
    let mut beat = tokio::time::interval(Duration::from_micros(patience) / 3);
    loop {
        beat.tick().await;
        let _ = sd_notify::notify(false, &[sd_notify::NotifyState::Watchdog]);
    }
}

fn start_log(format: LogFormat) {
    let filter = EnvFilter::try_from_env("SERVOS_LOG")
        .unwrap_or_else(|_| EnvFilter::new("info,boringtun=off,netlink_packet_route=error,hickory_server=warn"));
    let log = tracing_subscriber::fmt().with_env_filter(filter).with_writer(std::io::stderr);
    match format {
        LogFormat::Text => log.with_ansi(false).init(),
        LogFormat::Json => log.json().init(),
    }
}
