//! `server list | show | delete`.

use anyhow::Result;
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::output::{Output, or_dash};
use super::{InOrganisation, Usage};
use crate::clock::UnixSeconds;
use crate::store::{Server, Store};

#[derive(Subcommand)]
pub enum Command {
    /// List the servers of an organisation
    List {
        #[command(flatten)]
        organisation: InOrganisation,
    },
    /// Show a server and what runs on it
    Show {
        /// Its name
        name: String,

        #[command(flatten)]
        organisation: InOrganisation,
    },
    /// Take a server out of the mesh: its credential becomes void, its address free
    Delete {
        /// Its name
        name: String,

        #[command(flatten)]
        organisation: InOrganisation,

        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

#[derive(Serialize)]
struct Shown {
    #[serde(flatten)]
    server: Server,
    resources: Vec<String>,
}

pub fn main(store: &mut Store, command: &Command, output: Output) -> Result<()> {
    match command {
        Command::List { organisation } => {
            let servers = store.servers(organisation.find(store)?.id)?;
            output.table(&servers, &["NAME", "ADDRESS", "ENDPOINT", "PUBLIC KEY", "ENROLLED"], |server| {
                vec![
                    server.name.to_string(),
                    server.address.to_string(),
                    or_dash(server.endpoint),
                    server.public_key.to_string(),
                    server.enrolled_at.to_string(),
                ]
            })
        }
        Command::Show { name, organisation } => {
            let (server, resources) = store.server(organisation.find(store)?.id, name)?;
            output.print(&Shown { server, resources }, text)
        }
        Command::Delete { name, organisation, yes } => {
            let organisation = organisation.find(store)?;
            let (server, resources) = store.server(organisation.id, name)?;
            if !yes {
                let runs = if resources.is_empty() { "nothing".to_owned() } else { resources.join(", ") };
                let asked = format!(
                    "this takes {name} ({}), which runs {runs}, out of the mesh of {}: say --yes",
                    server.address, organisation.name
                );
                return Err(Usage(asked).into());
            }
            store.delete_server(organisation.id, name, UnixSeconds::now())?;
            let deleted = json!({ "server": name, "organisation": organisation.name, "deleted": true });
            output.print(&deleted, |_| format!("server {name} is out of the mesh of {}", organisation.name))
        }
    }
}

fn text(shown: &Shown) -> String {
    let server = &shown.server;
    let origin = server.endpoint_origin.map_or(String::new(), |origin| format!(" ({})", origin.as_str()));
    let resources = if shown.resources.is_empty() { "-".to_owned() } else { shown.resources.join(", ") };
    format!(
        "name        {}\naddress     {}\nendpoint    {}{origin}\npublic key  {}\nenrolled    {}\nresources   {resources}",
        server.name,
        server.address,
        or_dash(server.endpoint),
        server.public_key,
        server.enrolled_at,
    )
}
