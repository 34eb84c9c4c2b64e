//! The plugin's settings.

use std::net::Ipv4Addr;

use serde::Deserialize;
use servos_plugin_sdk::policy::{Action, Rule, Source, Transport};

use crate::limits::MAX_REASON;

/// `[plugins.settings.ufw-policy]` in `agent.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Settings {
    /// Whether the ports of this server's instances are opened to the mesh.
    pub instances: bool,
    /// Further rules, in their order; they stand before those of the instances.
    pub rules: Vec<RuleSetting>,
}

impl Default for Settings {
    fn default() -> Self {
        Self { instances: true, rules: Vec::new() }
    }
}

/// One rule of the operator's: `{ action = "allow", ports = "8000-8010", from = "10.0.0.0/8", transport = "tcp" }`.
#[derive(Clone, Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleSetting {
    /// What is done.
    pub action: Action,
    /// `any` unless given.
    #[serde(default = "any")]
    pub transport: Transport,
    /// A port, or two with a hyphen.
    pub ports: String,
    /// `anywhere`, `mesh`, or an IPv4 network.
    #[serde(default = "mesh")]
    pub from: String,
    /// Shown beside the rule: letters, digits, space and `-_./:`, up to 64.
    #[serde(default = "settings")]
    pub reason: String,
}

fn any() -> Transport {
    Transport::Any
}

fn mesh() -> String {
    "mesh".to_owned()
}

fn settings() -> String {
    "settings".to_owned()
}

impl RuleSetting {
    pub(crate) fn rule(&self) -> Result<Rule, String> {
        let ports = ports(&self.ports)?;
        let source = source(&self.from)?;
        let reason = reason(&self.reason)?;
        Ok(Rule { action: self.action, transport: self.transport, ports, source, reason })
    }
}

fn ports(text: &str) -> Result<(u16, u16), String> {
    let wrong = || format!("ports = {text:?}: give a port or a range, for example \"8080\" or \"8000-8010\"");
    let (first, last) = text.split_once('-').unwrap_or((text, text));
    let (first, last): (u16, u16) = (first.parse().map_err(|_| wrong())?, last.parse().map_err(|_| wrong())?);
    if first == 0 || last < first {
        return Err(wrong());
    }
    Ok((first, last))
}

fn source(text: &str) -> Result<Source, String> {
    match text {
        "anywhere" => return Ok(Source::Anywhere),
        "mesh" => return Ok(Source::Mesh),
        _ => {}
    }
    let wrong = || format!("from = {text:?}: give \"anywhere\", \"mesh\" or an IPv4 network such as \"10.0.0.0/8\"");
    let (address, length) = text.split_once('/').unwrap_or((text, "32"));
    let address: Ipv4Addr = address.parse().map_err(|_| wrong())?;
    let prefix_length: u8 = length.parse().map_err(|_| wrong())?;
    let host_bits = u32::MAX.checked_shr(prefix_length.into()).unwrap_or(0);
    if prefix_length == 0 {
        return Err(format!("from = {text:?}: say \"anywhere\", which holds for IPv6 too"));
    }
    if prefix_length > 32 || u32::from(address) & host_bits != 0 {
        return Err(wrong());
    }
    Ok(Source::Network { address, prefix_length })
}

fn reason(text: &str) -> Result<String, String> {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" -_./:".contains(&byte);
    if text.len() > MAX_REASON || !text.bytes().all(allowed) {
        return Err(format!("reason = {text:?}: give letters, digits, space and -_./: only, {MAX_REASON} at most"));
    }
    Ok(text.to_owned())
}
