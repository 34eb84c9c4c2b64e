//! `organisation create | list | delete`.

use anyhow::Result;
use clap::Subcommand;
use serde_json::json;
use servos_mesh::HostName;

use super::Usage;
use super::output::Output;
use crate::clock::UnixSeconds;
use crate::store::Store;

#[derive(Subcommand)]
pub enum Command {
    /// Make an organisation: a mesh of its own
    Create {
        /// Its name
        name: String,

        /// Search domain of its mesh
        #[arg(long, default_value = "mesh.internal")]
        domain: HostName,
    },
    /// List organisations
    List,
    /// Delete an organisation with its servers, tokens and resources
    Delete {
        /// Its name
        name: String,

        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

pub fn main(store: &mut Store, command: &Command, output: Output) -> Result<()> {
    match command {
        Command::Create { name, domain } => {
            let made = store.create_organisation(name, domain, UnixSeconds::now())?;
            output.print(&made, |made| {
                format!(
                    "organisation {} made; `servos-control token create --organisation '{}'` lets servers join",
                    made.name, made.name
                )
            })
        }
        Command::List => {
            let header = ["NAME", "DOMAIN", "SERVERS", "RESOURCES", "REVISION", "CREATED"];
            output.table(&store.organisations()?, &header, |one| {
                vec![
                    one.name.clone(),
                    one.domain.to_string(),
                    one.servers.to_string(),
                    one.resources.to_string(),
                    one.revision.to_string(),
                    one.created_at.to_string(),
                ]
            })
        }
        Command::Delete { name, yes } => {
            let found = store.organisation(Some(name))?;
            if !yes {
                let (servers, resources) = (found.servers, found.resources);
                let asked = format!("this deletes {name} with {servers} servers and {resources} resources: say --yes");
                return Err(Usage(asked).into());
            }
            store.delete_organisation(name)?;
            output
                .print(&json!({ "organisation": name, "deleted": true }), |_| format!("organisation {name} is deleted"))
        }
    }
}
