//! The command line.

mod commission;
mod decommission;
mod ping;
mod plugin;
mod rotate_key;
mod show;
pub(crate) mod socket_client;
mod tunnel;

use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::paths::default_settings;
use crate::run;
use crate::settings::Settings;

/// The agent of a servos mesh: joins this server to its organisation's mesh and keeps it there.
#[derive(Parser)]
#[command(name = "servos-agent", version, about, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// Settings file; none at this place means defaults
    #[arg(long, global = true, value_name = "FILE", env = "SERVOS_AGENT_CONFIG", default_value = default_settings().as_os_str())]
    config: PathBuf,

    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Join this server to a mesh; reads an enrolment token from standard input
    Commission(commission::Arguments),
    /// Run the agent (what the systemd unit does)
    Run(run::Arguments),
    /// What the agent believes, what it did, and what stops it; exit code 1 if anything does
    Status,
    /// What the agent would do at this moment
    Plan,
    /// The servers of the mesh
    Peers {
        /// List all of a large mesh
        #[arg(long)]
        all: bool,
    },
    /// The services of the mesh and their instances, as this server sees them
    Services,
    /// Plugins
    #[command(subcommand)]
    Plugin(plugin::Command),
    /// Metrics in Prometheus' text format
    Metrics,
    /// Reach a server or service by name through the mesh
    Ping(ping::Arguments),
    /// Give this server another key: the mesh follows without losing a packet
    RotateKey(rotate_key::Arguments),
    /// Take this server out of its mesh and put everything back as it was
    Decommission(decommission::Arguments),
    /// A WireGuard interface alone, configured with `wg` and `ip`: a drop-in for `wireguard-go`
    Tunnel(tunnel::Arguments),
    /// Put the host's resolver settings back (what systemd does when the agent has ended)
    #[command(hide = true)]
    RestoreResolver,
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// Parses the arguments and does what they say. 0: done; 1: failed, or `status` names a problem; 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(code) => code,
        Err(error) => {
            eprintln!("servos-agent: {error:#}");
            ExitCode::FAILURE
        }
    }
}

fn dispatch(cli: Cli) -> Result<ExitCode> {
    if let Command::Completion { shell } = cli.command {
        clap_complete::generate(shell, &mut Cli::command(), "servos-agent", &mut std::io::stdout());
        return Ok(ExitCode::SUCCESS);
    }
    if let Command::Tunnel(arguments) = &cli.command {
        // Has nothing to do with the mesh that this server may be in.
        return tunnel::main(arguments);
    }
    if let Command::Plugin(plugin::Command::Author(command)) = cli.command {
        // An author has no agent, and no settings.
        return servos_plugin_cli::run(command);
    }
    let (settings, problem) = match cli.command {
        // What is begun must be meant.
        Command::Commission(_) => (Settings::load(&cli.config)?, None),
        _ => Settings::load_or_kept(&cli.config)?,
    };
    let json = cli.json;
    if let Command::Run(arguments) = cli.command {
        return run::main(settings, problem, &cli.config, &arguments);
    }
    if let Some(problem) = problem {
        eprintln!("servos-agent: {problem}");
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(async {
        let socket = settings.paths.socket();
        match cli.command {
            Command::Commission(arguments) => commission::main(&settings, &cli.config, &arguments, json).await,
            Command::Decommission(arguments) => decommission::main(&settings, &cli.config, &arguments, json).await,
            Command::RestoreResolver => decommission::restore_resolver(&settings).await,
            Command::Ping(arguments) => ping::main(&socket, &arguments, json).await,
            Command::RotateKey(arguments) => rotate_key::main(&socket, &arguments, json).await,
            Command::Status => show::status(&socket, json).await,
            Command::Plan => show::plan(&socket, json).await,
            Command::Peers { all } => show::peers(&socket, all, json).await,
            Command::Services => show::services(&socket, json).await,
            Command::Plugin(plugin::Command::List) => plugin::list(&socket, json).await,
            Command::Plugin(plugin::Command::Show(name)) => plugin::show(&socket, &name, json).await,
            Command::Plugin(plugin::Command::Reset(name)) => plugin::reset(&socket, &name, json).await,
            Command::Metrics => {
                print!("{}", socket_client::get_text(&socket, "/metrics").await?);
                Ok(ExitCode::SUCCESS)
            }
            Command::Run(_)
            | Command::Tunnel(_)
            | Command::Completion { .. }
            | Command::Plugin(plugin::Command::Author(_)) => unreachable!("handled above"),
        }
    })
}

/// Refuses whoever is not root, before anything is touched.
fn require_root(what: &str) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        anyhow::bail!("{what} changes network and firewall of this server and needs root: run it with sudo");
    }
    Ok(())
}
