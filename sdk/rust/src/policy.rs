//! Extension point: what this server's firewall lets in.

use std::net::Ipv4Addr;

use serde::de::DeserializeOwned;

pub use crate::{Directory, Server, Service};

/// What is done with traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Action {
    /// Let in.
    Allow,
    /// Thrown away.
    Deny,
    /// Let in, unless one address tries too often.
    Limit,
}

/// Transport protocol of traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// Both.
    Any,
}

/// Where traffic comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Source {
    /// Any address, on any interface.
    Anywhere,
    /// Any server of the mesh, by way of the mesh interface.
    Mesh,
    /// The addresses of a network.
    Network {
        /// Network address.
        address: Ipv4Addr,
        /// 0 to 32.
        prefix_length: u8,
    },
}

/// A firewall rule.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Rule {
    /// What is done.
    pub action: Action,
    /// Transport.
    pub transport: Transport,
    /// First and last destination port.
    pub ports: (u16, u16),
    /// Where from.
    pub source: Source,
    /// Why: letters, digits, space and `-_./:`, up to 64.
    pub reason: String,
}

/// An instance that runs on this server.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LocalInstance {
    /// The service's name.
    pub service: String,
    /// What it speaks.
    pub transport: Transport,
    /// The port that it listens on.
    pub port: u16,
}

/// What a policy may want to know of the server that it is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Context {
    /// UDP port of the mesh's WireGuard.
    pub wireguard_port: u16,
    /// The mesh interface.
    pub interface: String,
    /// Instances that run here.
    pub instances: Vec<LocalInstance>,
    /// Ports on which this server's failover proxy accepts connections.
    pub proxy_ports: Vec<u16>,
}

/// A policy plugin. It is its settings: read from the `[settings]` table of its file, or from an empty one if there is
/// none. One that keeps something else says so with `#[serde(try_from = "Settings")]`.
pub trait Policy: DeserializeOwned {
    /// Judges the settings, before anything is asked.
    ///
    /// # Errors
    ///
    /// What is wrong with them, for the operator. The plugin is then refused, and what ran before stays.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// All rules that ought to be there, at most 256.
    fn rules(&self, mesh: &dyn Directory, context: &Context) -> Vec<Rule>;
}
