//! The command line. It works on the database itself, also while `serve` runs, which notices.

mod init;
mod organisation;
mod output;
mod resource;
mod serve;
mod server;
mod token;

use std::fmt;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::Result;
use clap::{CommandFactory, Parser, Subcommand};
use clap_complete::Shell;

use crate::data_dir::DataDir;
use crate::store::{Organisation, Store};

/// The control plane of servos meshes: organisations, servers and resources become what every server is told.
#[derive(Parser)]
#[command(name = "servos-control", version, about, propagate_version = true, arg_required_else_help = true)]
struct Cli {
    /// Folder with the database and the TLS key
    #[arg(
        long,
        global = true,
        value_name = "DIR",
        env = "SERVOS_CONTROL_DATA",
        default_value = "/var/lib/servos-control"
    )]
    data: PathBuf,

    /// Print JSON instead of text
    #[arg(long, global = true)]
    json: bool,

    #[command(subcommand)]
    command: Command,
}

#[derive(Subcommand)]
enum Command {
    /// Set up a control plane: database, certificate, first organisation, first token
    Init(init::Arguments),
    /// Answer the servers over HTTPS
    Serve(serve::Arguments),
    /// Organisations: meshes that know nothing of each other
    #[command(subcommand)]
    Organisation(organisation::Command),
    /// Enrolment tokens, with which servers join
    #[command(subcommand)]
    Token(token::Command),
    /// Servers
    #[command(subcommand)]
    Server(server::Command),
    /// Resources: what runs where
    #[command(subcommand)]
    Resource(resource::Command),
    /// Print a completion script for a shell
    Completion {
        /// The shell
        shell: Shell,
    },
}

/// `--organisation`, wherever one is meant.
#[derive(clap::Args)]
struct InOrganisation {
    /// The organisation [default: the only one]
    #[arg(long, value_name = "NAME")]
    organisation: Option<String>,
}

impl InOrganisation {
    fn find(&self, store: &Store) -> Result<Organisation> {
        Ok(store.organisation(self.organisation.as_deref())?)
    }
}

/// Parses the arguments and does what they say. 0: done; 1: failed; 2: wrong usage.
pub fn main() -> ExitCode {
    let cli = Cli::parse();
    match dispatch(cli) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            // One line a problem: a file may have several.
            for line in format!("{error:#}").lines() {
                eprintln!("servos-control: {line}");
            }
            if error.is::<Usage>() { ExitCode::from(2) } else { ExitCode::FAILURE }
        }
    }
}

fn dispatch(cli: Cli) -> Result<()> {
    let data = DataDir::new(cli.data);
    let output = output::Output { json: cli.json };
    let store = || Store::open(&data.database());
    match cli.command {
        Command::Init(arguments) => init::main(&data, &arguments, output),
        Command::Serve(arguments) => serve::main(&data, &arguments),
        Command::Organisation(command) => organisation::main(&mut store()?, &command, output),
        Command::Token(command) => token::main(&mut store()?, &command, output),
        Command::Server(command) => server::main(&mut store()?, &command, output),
        Command::Resource(command) => resource::main(&mut store()?, &command, output),
        Command::Completion { shell } => {
            clap_complete::generate(shell, &mut Cli::command(), "servos-control", &mut std::io::stdout());
            Ok(())
        }
    }
}

/// A command that was used wrongly in a way that its grammar cannot tell.
#[derive(Debug)]
struct Usage(String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}
