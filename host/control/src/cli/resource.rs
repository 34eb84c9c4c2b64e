//! `resource apply | list | show | delete`.

use anyhow::{Context, Result};
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;

use super::InOrganisation;
use super::output::Output;
use crate::clock::UnixSeconds;
use crate::resources_file::{ResourceDocument, ResourcesFile};
use crate::store::{Applied, ApplyError, ApplyMode, ResourceAction, Store};

#[derive(Subcommand)]
pub enum Command {
    /// Bring resources to what a file says, all of it or nothing
    Apply {
        /// YAML; `-` is standard input
        #[arg(short, long, value_name = "FILE")]
        file: String,

        #[command(flatten)]
        organisation: InOrganisation,

        /// Remove resources that are not in the file
        #[arg(long)]
        prune: bool,

        /// Only say what would be done
        #[arg(long)]
        dry_run: bool,
    },
    /// List resources
    List {
        #[command(flatten)]
        organisation: InOrganisation,
    },
    /// Print a resource as `resource apply` reads it
    Show {
        /// Its name
        name: String,

        #[command(flatten)]
        organisation: InOrganisation,
    },
    /// Delete a resource
    Delete {
        /// Its name
        name: String,

        #[command(flatten)]
        organisation: InOrganisation,
    },
}

#[derive(Serialize)]
struct Shown {
    resources: [ResourceDocument; 1],
}

#[derive(Serialize)]
struct AppliedIn<'a> {
    organisation: &'a str,
    #[serde(flatten)]
    applied: Applied,
}

pub fn main(store: &mut Store, command: &Command, output: Output) -> Result<()> {
    match command {
        Command::Apply { file, organisation, prune, dry_run } => {
            let organisation = organisation.find(store)?;
            let mode = ApplyMode { prune: *prune, dry_run: *dry_run };
            let applied = ResourcesFile::read(file)
                .map_err(ApplyError::from)
                .and_then(|file| store.apply_resources(organisation.id, &file, mode, UnixSeconds::now()));
            if let (true, Err(ApplyError::Problems(problems))) = (output.json, &applied) {
                output.print(problems, |_| String::new())?;
            }
            let applied = applied?;
            output.print(&AppliedIn { organisation: &organisation.name, applied }, |done| text(&done.applied))
        }
        Command::List { organisation } => {
            let resources = store.resources(organisation.find(store)?.id)?;
            let documents: Vec<_> = resources.into_iter().map(ResourceDocument::from).collect();
            let header = ["NAME", "PROTOCOL", "PORT", "MESH FAILOVER", "INSTANCES"];
            output.table(&documents, &header, ResourceDocument::row)
        }
        Command::Show { name, organisation } => {
            let resource = store.resource(organisation.find(store)?.id, name)?;
            let shown = Shown { resources: [resource.into()] };
            let yaml = serde_yaml_ng::to_string(&shown).context("cannot write the resource as YAML")?;
            output.print(&shown.resources[0], |_| yaml.trim_end().to_owned())
        }
        Command::Delete { name, organisation } => {
            let organisation = organisation.find(store)?;
            store.delete_resource(organisation.id, name, UnixSeconds::now())?;
            let deleted = json!({ "resource": name, "organisation": organisation.name, "deleted": true });
            output.print(&deleted, |_| format!("resource {name} is deleted"))
        }
    }
}

fn text(applied: &Applied) -> String {
    let mut lines: Vec<_> = applied
        .resources
        .iter()
        .map(|change| {
            let action = match change.action {
                ResourceAction::Created => "created",
                ResourceAction::Changed => "changed",
                ResourceAction::Unchanged => "unchanged",
                ResourceAction::Removed => "removed",
            };
            format!("{action:<9} {}", change.name)
        })
        .collect();
    if lines.is_empty() {
        lines.push("there is nothing to do".to_owned());
    }
    if applied.dry_run {
        lines.push("(dry run: nothing was done)".to_owned());
    }
    lines.join("\n")
}
