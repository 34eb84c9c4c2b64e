//! A service (a resource of the organisation): a name, a port, and the instances behind it.

use std::time::Duration;

use serde::{Deserialize, Serialize};
use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{DnsLabel, HostName};

/// What a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Protocol {
    /// HTTP over TCP.
    Http,
    /// Anything over TCP.
    Tcp,
    /// Anything over UDP.
    Udp,
}

impl Protocol {
    /// `http`, `tcp` or `udp`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Http => "http",
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// How a server finds out whether an instance works.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct HealthCheck {
    /// Path of an HTTP GET that must answer 2xx or 3xx; none: a TCP connect suffices.
    pub path: Option<String>,
    /// Between two probes.
    pub interval: Duration,
    /// After which a probe has failed.
    pub timeout: Duration,
}

/// One service with all its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// The bare name that it answers to.
    pub name: DnsLabel,
    /// What it speaks.
    pub protocol: Protocol,
    /// The port that clients ask for; never 0.
    pub port: u16,
    /// `enable_mesh_failover`: spread over all healthy instances.
    pub mesh_failover: bool,
    /// Further names that it answers to.
    pub hosts: Vec<HostName>,
    /// Free text for plugins.
    pub labels: Vec<(String, String)>,
    /// None: a TCP connect at the default pace.
    pub health_check: Option<HealthCheck>,
    /// Sorted by server and port, unique.
    pub instances: Vec<Instance>,
}

/// One place where a service runs. 8 bytes, alignment 1, integers little endian; the layout is the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct Instance {
    server: U32,
    port: U16,
    weight: U16,
}

impl Instance {
    /// An instance on the server at `server` (index among the state's peers), listening on `port`.
    pub fn new(server: u32, port: u16, weight: u16) -> Self {
        Self { server: server.into(), port: port.into(), weight: weight.into() }
    }

    /// Index among the state's peers.
    pub fn server(&self) -> usize {
        self.server.get() as usize
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port.get()
    }

    /// The operator's weight, 0 to 1,000.
    pub fn weight(&self) -> u16 {
        self.weight.get()
    }
}
