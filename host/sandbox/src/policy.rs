//! What this server's firewall lets in: what the policy plugins are told, and their rules once they have been checked.

use std::fmt;
use std::net::Ipv4Addr;

use serde::Serialize;

use crate::limits::MAX_REASON_BYTES;

/// What a policy may want to know of the server that it is for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PolicyContext {
    /// UDP port of the mesh's WireGuard.
    pub wireguard_port: u16,
    /// The mesh interface, for example `wg0`.
    pub interface: String,
    /// Instances that run here, at most [`MAX_LOCAL_INSTANCES`](crate::limits::MAX_LOCAL_INSTANCES) are handed over.
    pub instances: Vec<LocalInstance>,
    /// Ports on which this server's failover proxy accepts connections.
    pub proxy_ports: Vec<u16>,
}

/// An instance that runs on this server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LocalInstance {
    /// The service's name.
    pub service: String,
    /// What it speaks.
    pub transport: Transport,
    /// The port that it listens on.
    pub port: u16,
}

/// One firewall rule, well-formed. Whether it is wise is for the guard rails to say.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize)]
pub struct Rule {
    /// What is done with the traffic.
    pub action: Action,
    /// The traffic's transport.
    pub transport: Transport,
    /// The traffic's destination ports.
    pub ports: PortRange,
    /// Where the traffic comes from.
    pub source: Source,
    /// Why.
    pub reason: Reason,
}

/// What is done with traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Transport {
    /// TCP.
    Tcp,
    /// UDP.
    Udp,
    /// TCP and UDP.
    Any,
}

/// Ports from `first` to `last`, both included; never 0, never empty.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct PortRange {
    first: u16,
    last: u16,
}

impl PortRange {
    /// The ports from `first` to `last`.
    ///
    /// # Errors
    ///
    /// [`RuleError::Ports`] for port 0, or a range that ends before it starts.
    pub fn new(first: u16, last: u16) -> Result<Self, RuleError> {
        if first == 0 || last < first {
            return Err(RuleError::Ports { first, last });
        }
        Ok(Self { first, last })
    }

    /// The lowest port.
    pub fn first(self) -> u16 {
        self.first
    }

    /// The highest port.
    pub fn last(self) -> u16 {
        self.last
    }

    /// Whether `port` is in the range.
    pub fn contains(self, port: u16) -> bool {
        (self.first..=self.last).contains(&port)
    }
}

/// Where traffic comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Source {
    /// Any address, on any interface.
    Anywhere,
    /// Any server of the mesh, by way of the mesh interface.
    Mesh,
    /// The addresses of a network.
    Network(Network),
}

/// An IPv4 network; no bit is set behind the prefix.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
pub struct Network {
    address: Ipv4Addr,
    prefix_length: u8,
}

impl Network {
    /// The network of the first `prefix_length` bits of `address`.
    ///
    /// # Errors
    ///
    /// [`RuleError::Network`] for a prefix over 32 bits, or bits set behind the prefix.
    pub fn new(address: Ipv4Addr, prefix_length: u8) -> Result<Self, RuleError> {
        let host_bits = u32::MAX.checked_shr(prefix_length.into()).unwrap_or(0);
        if prefix_length > 32 || u32::from(address) & host_bits != 0 {
            return Err(RuleError::Network { address, prefix_length });
        }
        Ok(Self { address, prefix_length })
    }

    /// The network's first address.
    pub fn address(self) -> Ipv4Addr {
        self.address
    }

    /// Bits of the prefix, 0 to 32.
    pub fn prefix_length(self) -> u8 {
        self.prefix_length
    }
}

/// Why a rule is there: letters, digits, space and `-_./:` (ASCII), at most 64 bytes; safe in a comment of ufw.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct Reason(String);

impl Reason {
    /// Takes a text as it is.
    ///
    /// # Errors
    ///
    /// [`RuleError::Reason`] if it is too long or has any other character.
    pub fn new(text: impl Into<String>) -> Result<Self, RuleError> {
        let text = text.into();
        let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b" -_./:".contains(&byte);
        if text.len() > MAX_REASON_BYTES || !text.bytes().all(allowed) {
            return Err(RuleError::Reason(text.chars().take(MAX_REASON_BYTES).collect()));
        }
        Ok(Self(text))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PortRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.first == self.last {
            true => write!(f, "{}", self.first),
            false => write!(f, "{}:{}", self.first, self.last),
        }
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}", self.address, self.prefix_length)
    }
}

impl fmt::Display for Reason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

/// Why something is no part of a rule.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum RuleError {
    /// Port 0, or a range that ends before it starts.
    #[error("ports {first} to {last} are no range of 1 to 65535")]
    Ports {
        /// As given.
        first: u16,
        /// As given.
        last: u16,
    },
    /// No network.
    #[error("{address}/{prefix_length} is no network: up to 32 bits, and none set behind them")]
    Network {
        /// As given.
        address: Ipv4Addr,
        /// As given.
        prefix_length: u8,
    },
    /// No reason.
    #[error("reason {0:?} has other than letters, digits, space and -_./: or more than {MAX_REASON_BYTES} bytes")]
    Reason(String),
}
