//! `tunnel`: a WireGuard interface alone, called and configured like `wireguard-go`.

use std::io::{BufRead, BufReader, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, AsRawFd, RawFd};
use std::process::{Command, ExitCode, Stdio};
use std::thread::available_parallelism;

use anyhow::{Context, Result, bail};
use clap::Args;
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::SignalFd;
use nix::unistd::setsid;
use servos_tunnel::limits::{Limits, MAX_LANES, lanes};
use servos_tunnel::{InterfaceSource, Tunnel};
use tracing::level_filters::LevelFilter;

use super::require_root;

/// As `wireguard-go` has it: stay in the foreground.
const FOREGROUND: &str = "WG_PROCESS_FOREGROUND";

/// Set for the process in the background: it tells on its standard output how its start went.
const TELLS: &str = "SERVOS_TUNNEL_TELLS";

/// What it tells when `wg` can configure the interface.
const READY: &str = "ready";

#[derive(Args)]
pub struct Arguments {
    /// Name of the interface to make
    interface: String,

    /// Stay in the foreground
    #[arg(short, long)]
    foreground: bool,

    /// Threads each way, 1 to 64; the default is a quarter of the cores, 4 at most
    #[arg(long, value_parser = threads)]
    threads: Option<NonZeroUsize>,
}

fn threads(text: &str) -> Result<NonZeroUsize, String> {
    let number: Option<NonZeroUsize> = text.parse().ok();
    number.filter(|number| number.get() <= MAX_LANES).ok_or_else(|| format!("a number from 1 to {MAX_LANES}"))
}

/// Makes the interface and serves it until it is deleted or SIGTERM comes.
pub fn main(arguments: &Arguments) -> Result<ExitCode> {
    require_root("`tunnel`")?;
    let tells = std::env::var_os(TELLS).is_some();
    if !arguments.foreground && !tells && std::env::var_os(FOREGROUND).is_none_or(|value| value != "1") {
        return in_background(arguments);
    }
    if tells {
        // Best effort: a session of its own, which no terminal ends. Whoever leads a group gets none: it was started in
        // its parent's.
        let _ = setsid();
    }
    log()?;
    match serve(arguments, tells) {
        Err(error) if tells => {
            // Whoever started us says it.
            println!("{error:#}");
            Ok(ExitCode::FAILURE)
        }
        other => other,
    }
}

/// Starts this program again and waits until its interface is there.
fn in_background(arguments: &Arguments) -> Result<ExitCode> {
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut command = Command::new(program);
    command.args(["tunnel", &arguments.interface]);
    if let Some(threads) = arguments.threads {
        command.args(["--threads", &threads.to_string()]);
    }
    let mut child = command
        .env(TELLS, "1")
        .current_dir("/")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(if std::env::var_os("LOG_LEVEL").is_some() { Stdio::inherit() } else { Stdio::null() })
        .spawn()
        .context("cannot start in the background")?;
    let mut line = String::new();
    BufReader::new(child.stdout.take().context("no way to hear of it")?).read_line(&mut line)?;
    match line.trim() {
        READY => Ok(ExitCode::SUCCESS),
        "" => bail!("the process in the background ended without a word ({})", child.wait()?),
        problem => bail!("{problem}"),
    }
}

fn serve(arguments: &Arguments, tells: bool) -> Result<ExitCode> {
    let interface = &arguments.interface;
    let lanes = arguments.threads.unwrap_or_else(|| lanes(available_parallelism().map_or(1, usize::from)));
    let source = match descriptor("WG_TUN_FD")? {
        Some(fd) => InterfaceSource::Descriptor(fd),
        None => InterfaceSource::Name(interface.to_owned()),
    };
    // Before the tunnel's threads, which inherit it.
    let mut signals = SigSet::empty();
    signals.add(Signal::SIGTERM);
    signals.add(Signal::SIGINT);
    signals.thread_block().context("cannot wait for signals")?;
    let signals = SignalFd::new(&signals).context("cannot wait for signals")?;
    let tunnel = Tunnel::start_configurable(&source, descriptor("WG_UAPI_FD")?, lanes, Limits::default())?;
    tracing::info!(interface, "tunnel up");
    if tells {
        println!("{READY}");
        std::io::stdout().flush()?;
        // Nobody listens from here on.
        nix::unistd::dup2_stdout(std::fs::File::options().write(true).open("/dev/null")?)?;
    }
    let mut ends = [PollFd::new(tunnel.gone(), PollFlags::POLLIN), PollFd::new(signals.as_fd(), PollFlags::POLLIN)];
    while ends.iter().all(|end| !end.any().unwrap_or(true)) {
        match poll(&mut ends, PollTimeout::NONE) {
            Err(nix::errno::Errno::EINTR) => {}
            other => drop(other.context("cannot wait")?),
        }
    }
    tracing::info!(interface, "tunnel down");
    tunnel.shutdown();
    Ok(ExitCode::SUCCESS)
}

/// A descriptor that whoever started us names in the environment.
fn descriptor(variable: &str) -> Result<Option<RawFd>> {
    let Ok(text) = std::env::var(variable) else { return Ok(None) };
    let fd: RawFd = text.parse().with_context(|| format!("{variable}={text:?} is no descriptor"))?;
    if fd <= std::io::stderr().as_raw_fd() {
        bail!("{variable}={text:?} is one of the standard streams");
    }
    Ok(Some(fd))
}

/// Logs to standard error, as much as `LOG_LEVEL` says: `verbose` or `debug`, `info`, `error`, `silent`.
fn log() -> Result<()> {
    let level = match std::env::var("LOG_LEVEL").as_deref() {
        Ok("verbose" | "debug") => LevelFilter::DEBUG,
        Ok("info") => LevelFilter::INFO,
        Ok("silent") => LevelFilter::OFF,
        Ok("error") | Err(_) => LevelFilter::ERROR,
        Ok(other) => bail!("LOG_LEVEL={other:?}: there are verbose, debug, info, error and silent"),
    };
    tracing_subscriber::fmt().with_max_level(level).with_writer(std::io::stderr).init();
    Ok(())
}
