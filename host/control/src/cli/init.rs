//! `init`: a control plane from nothing.

use std::time::Duration;

use anyhow::{Result, bail};
use clap::Args;
use serde::Serialize;
use servos_mesh::{EnrolmentToken, HostName};

use super::Usage;
use super::output::Output;
use super::token::{PrintedToken, life};
use crate::clock::UnixSeconds;
use crate::data_dir::DataDir;
use crate::secrets::hex;
use crate::store::{Installation, Store};
use crate::tls;

#[derive(Args)]
pub struct Arguments {
    /// Name of the first organisation
    #[arg(long, value_name = "NAME")]
    organisation: String,

    /// Where servers reach this control plane; stands in every token
    #[arg(long, value_name = "https://HOST:8443", value_parser = url)]
    url: String,

    /// Search domain of the first organisation's mesh
    #[arg(long, default_value = "mesh.internal")]
    domain: HostName,

    /// Life of the first token
    #[arg(long, value_name = "DURATION", default_value = crate::limits::DEFAULT_TOKEN_LIFE, value_parser = life)]
    expires: Duration,

    /// Make no certificate and pin none: `serve --tls-cert --tls-key` shows one of a public authority
    #[arg(long)]
    no_pin: bool,
}

fn url(text: &str) -> Result<String, String> {
    EnrolmentToken::check_url(text).map_err(|error| error.to_string())?;
    Ok(text.trim_end_matches('/').to_owned())
}

#[derive(Serialize)]
struct Initialised<'a> {
    organisation: &'a str,
    domain: &'a HostName,
    url: &'a str,
    data: &'a std::path::Path,
    fingerprint: Option<String>,
    #[serde(flatten)]
    token: PrintedToken,
}

/// Makes whatever is missing; what is there stays.
pub fn main(data: &DataDir, arguments: &Arguments, output: Output) -> Result<()> {
    let host = tls::host_of(&arguments.url).ok_or_else(|| Usage(format!("{} names no host", arguments.url)))?;
    data.create()?;
    data.create_database()?;
    let mut store = Store::open(&data.database())?;
    if let Some(installation) = store.installation()? {
        return already(data, &store, &installation);
    }
    let mut installation = Installation { url: arguments.url.clone(), fingerprint: None };
    if !arguments.no_pin {
        // Left by an `init` that did not get to its end, they are in no token: made anew.
        let made = tls::self_signed(host)?;
        data.write(&data.key(), made.key.as_bytes(), 0o600)?;
        data.write(&data.certificate(), made.certificate.as_bytes(), 0o644)?;
        installation.fingerprint = Some(made.fingerprint);
    }
    let now = UnixSeconds::now();
    let expires_at = now.after(arguments.expires);
    let made = store.initialise(&installation, &arguments.organisation, &arguments.domain, expires_at, now)?;
    let Some((organisation, token)) = made else {
        bail!("another `servos-control init` was faster; `servos-control organisation list` shows what it made");
    };
    let initialised = Initialised {
        organisation: &organisation.name,
        domain: &organisation.domain,
        url: &installation.url,
        data: data.path(),
        fingerprint: installation.fingerprint.as_ref().map(|fingerprint| hex(fingerprint)),
        token: PrintedToken::new(&installation, &organisation.name, &token),
    };
    output.print(&initialised, |made| {
        let serve = if arguments.no_pin { " --tls-cert FILE --tls-key FILE" } else { "" };
        format!(
            "control plane for {} made in {}\n\
             1. start it:                   servos-control --data {} serve{serve}\n\
             2. on one server, until {}:\n\n{}\n\n\
             more tokens: servos-control token create",
            made.organisation,
            made.data.display(),
            made.data.display(),
            made.token.expires_at,
            made.token.line
        )
    })
}

fn already(data: &DataDir, store: &Store, installation: &Installation) -> Result<()> {
    let organisations: Vec<_> = store.organisations()?.into_iter().map(|one| one.name).collect();
    bail!(
        "there is a control plane in {} already, for {} with {}; nothing was changed. \
         `servos-control token create` makes tokens, `servos-control organisation create` organisations",
        data.path().display(),
        installation.url,
        if organisations.is_empty() { "no organisation".to_owned() } else { organisations.join(", ") },
    )
}
