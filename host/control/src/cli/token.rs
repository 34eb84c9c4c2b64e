//! `token create | list | revoke`.

use std::time::Duration;

use anyhow::Result;
use clap::Subcommand;
use serde::Serialize;
use serde_json::json;
use servos_mesh::EnrolmentToken;

use super::InOrganisation;
use super::output::Output;
use crate::clock::UnixSeconds;
use crate::limits::{DEFAULT_TOKEN_LIFE, MAX_TOKEN_LIFE};
use crate::store::{Installation, MintedToken, Store, TokenId};

#[derive(Subcommand)]
pub enum Command {
    /// Make a token and print the line to run on a server
    Create {
        #[command(flatten)]
        organisation: InOrganisation,

        /// How long it lets servers join
        #[arg(long, value_name = "DURATION", default_value = DEFAULT_TOKEN_LIFE, value_parser = life)]
        expires: Duration,

        /// How many servers may join with it
        #[arg(long, value_name = "N", default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..), conflicts_with = "reusable")]
        uses: u32,

        /// Any number of servers may join with it until it expires
        #[arg(long)]
        reusable: bool,
    },
    /// List tokens; their secrets are kept nowhere
    List {
        #[command(flatten)]
        organisation: InOrganisation,
    },
    /// Make a token useless; servers that joined with it stay
    Revoke {
        /// Its number, as `token list` shows it
        id: i64,
    },
}

/// A token that was just made, as it is printed.
#[derive(Serialize)]
pub struct PrintedToken {
    id: TokenId,
    organisation: String,
    /// A secret.
    token: String,
    /// What to run on a server. `printf` is built into the shell: the token is in no argument list.
    pub line: String,
    /// When it ends.
    pub expires_at: UnixSeconds,
    uses_left: Option<u32>,
}

impl PrintedToken {
    /// The text of a token of that organisation.
    pub fn new(installation: &Installation, organisation: &str, minted: &MintedToken) -> Self {
        let token = EnrolmentToken::new(&*installation.url, installation.fingerprint, *minted.secret).to_text();
        Self {
            id: minted.id,
            organisation: organisation.to_owned(),
            line: format!("printf %s '{}' | servos-agent commission", *token),
            token: token.to_string(),
            expires_at: minted.expires_at,
            uses_left: minted.uses_left,
        }
    }
}

/// Reads the life of a token.
pub fn life(text: &str) -> Result<Duration, String> {
    let life = humantime::parse_duration(text).map_err(|error| format!("{error}: write 30m, 24h or 7d"))?;
    if life < Duration::from_secs(1) || life > MAX_TOKEN_LIFE {
        return Err("a token lives from 1s to 10 years".to_owned());
    }
    Ok(life)
}

pub fn main(store: &mut Store, command: &Command, output: Output) -> Result<()> {
    let now = UnixSeconds::now();
    match command {
        Command::Create { organisation, expires, uses, reusable } => {
            let installation = store.expect_installation()?;
            let organisation = organisation.find(store)?;
            let uses = (!reusable).then_some(*uses);
            let minted = store.create_token(organisation.id, now.after(*expires), uses, now)?;
            let printed = PrintedToken::new(&installation, &organisation.name, &minted);
            output.print(&printed, |printed| {
                let uses = printed.uses_left.map_or("any number of servers".to_owned(), |uses| match uses {
                    1 => "one server".to_owned(),
                    uses => format!("{uses} servers"),
                });
                format!(
                    "token {} for {uses} of {}, until {}:\n\n{}",
                    printed.id, printed.organisation, printed.expires_at, printed.line
                )
            })
        }
        Command::List { organisation } => {
            let organisation = match &organisation.organisation {
                Some(name) => Some(store.organisation(Some(name))?.id),
                None => None,
            };
            let header = ["ID", "ORGANISATION", "STATE", "USES LEFT", "CREATED", "EXPIRES"];
            output.table(&store.tokens(organisation, now)?, &header, |token| {
                vec![
                    token.id.to_string(),
                    token.organisation.clone(),
                    token.state.as_str().to_owned(),
                    token.uses_left.map_or("any".to_owned(), |uses| uses.to_string()),
                    token.created_at.to_string(),
                    token.expires_at.to_string(),
                ]
            })
        }
        Command::Revoke { id } => {
            store.revoke_token(TokenId(*id), now)?;
            output.print(&json!({ "id": id, "state": "revoked" }), |_| format!("token {id} is revoked"))
        }
    }
}
