//! The `[names]` table of `agent.toml`.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use serde::de::Error;
use serde::{Deserialize, Deserializer, Serialize};
use servos_sandbox::limits::MAX_TTL;

use crate::Network;
use crate::limits::{NEGATIVE_TTL, TTL_CEILING};

/// How names are served and asked for on this host.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct NamesSettings {
    /// Which of the host's resolver settings are managed.
    pub resolver: ResolverChoice,
    /// Where names that are not the mesh's are forwarded to: `192.0.2.1`, `192.0.2.1:5353` or `[2001:db8::1]:53`.
    /// Empty: what the host used before.
    #[serde(deserialize_with = "upstreams")]
    pub upstreams: Vec<SocketAddr>,
    /// Whether `resolv.conf` lists the former name servers behind ours, so that glibc goes on at once when the agent is
    /// dead. Set it to false on hosts with musl: it asks all name servers in parallel and takes the first answer, so
    /// that an upstream's "no such name" may win over ours.
    pub fallback_upstreams: bool,
    /// The address in 127.0.0.0/8 that programs of this host ask, port 53. One of its own, so that no other local DNS
    /// server is in the way.
    #[serde(deserialize_with = "loopback")]
    pub loopback: Ipv4Addr,
    /// Networks beside this host and the mesh whose questions are answered and forwarded, for example
    /// `["172.17.0.0/16"]` for Docker's default bridge. With `100.64.0.0/10` names are forwarded for the mesh, too.
    pub clients: Vec<Network>,
    /// Most seconds that an answer of a plugin may be kept by who asked; 60 at most, the sandbox's bound.
    #[serde(deserialize_with = "ttl_ceiling")]
    pub ttl_ceiling: u32,
    /// Seconds that a negative answer may be kept.
    pub negative_ttl: u32,
    /// Where the host keeps its resolver settings.
    pub paths: ResolverPaths,
}

/// Which of the host's resolver settings are managed.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum ResolverChoice {
    /// systemd-resolved where it is in charge, else `resolv.conf`.
    #[default]
    Auto,
    /// systemd-resolved.
    Resolved,
    /// `resolv.conf`.
    ResolvConf,
    /// None.
    Off,
}

/// Where the host keeps its resolver settings.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct ResolverPaths {
    /// What libc's resolvers read. The backup stands beside it.
    pub resolv_conf: PathBuf,
    /// D-Bus address of the system bus; unset: the system's.
    pub system_bus: Option<String>,
}

impl Default for NamesSettings {
    fn default() -> Self {
        Self {
            resolver: ResolverChoice::Auto,
            upstreams: Vec::new(),
            fallback_upstreams: true,
            loopback: Ipv4Addr::new(127, 64, 0, 53),
            clients: Vec::new(),
            ttl_ceiling: TTL_CEILING,
            negative_ttl: NEGATIVE_TTL,
            paths: ResolverPaths::default(),
        }
    }
}

impl Default for ResolverPaths {
    fn default() -> Self {
        Self { resolv_conf: "/etc/resolv.conf".into(), system_bus: None }
    }
}

fn upstreams<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Vec<SocketAddr>, D::Error> {
    let texts = Vec::<String>::deserialize(deserializer)?;
    let read = |text: &String| {
        let bare = text.parse::<IpAddr>().map(|ip| SocketAddr::new(ip, 53));
        bare.or_else(|_| text.parse::<SocketAddr>()).map_err(|_| {
            D::Error::custom(format!("{text:?} is no upstream: write 192.0.2.1, 192.0.2.1:5353 or [2001:db8::1]:53"))
        })
    };
    texts.iter().map(read).collect()
}

fn loopback<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Ipv4Addr, D::Error> {
    let address = Ipv4Addr::deserialize(deserializer)?;
    if !address.is_loopback() {
        return Err(D::Error::custom(format!("{address} is no loopback address: take one of 127.0.0.0/8")));
    }
    Ok(address)
}

fn ttl_ceiling<'de, D: Deserializer<'de>>(deserializer: D) -> Result<u32, D::Error> {
    let ceiling = u32::deserialize(deserializer)?;
    if ceiling > MAX_TTL {
        return Err(D::Error::custom(format!(
            "ttl_ceiling = {ceiling}: give {MAX_TTL} seconds at most: no plugin's answer is kept longer"
        )));
    }
    Ok(ceiling)
}
