//! Vocabulary of the contract: servers, services, instances.

use std::net::Ipv4Addr;
use std::time::Duration;

/// What a service speaks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Protocol {
    /// HTTP over TCP.
    Http,
    /// Anything over TCP.
    Tcp,
    /// Anything over UDP.
    Udp,
}

/// What this server's own probes say of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Health {
    /// Not probed, or the first probe has not ended.
    #[default]
    Unknown,
    /// The last probes passed.
    Healthy,
    /// The last probes failed.
    Unhealthy,
}

/// What this server's tunnel says of the way to a server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub enum Link {
    /// The server is this one.
    Local,
    /// A session exists and its last handshake is fresh.
    Up,
    /// No session: nothing was sent lately. Says nothing about reachability.
    #[default]
    Idle,
    /// Handshakes are being sent and not answered.
    Down,
}

/// A commissioned server of the mesh.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct Server {
    /// Its DNS label.
    pub name: String,
    /// Its mesh address.
    pub address: Ipv4Addr,
}

/// A service of the mesh, without its instances.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Service {
    /// Its DNS label.
    pub name: String,
    /// What it speaks.
    pub protocol: Protocol,
    /// The port that clients ask for.
    pub port: u16,
    /// Further host names that it answers to.
    pub hosts: Vec<String>,
    /// `enable_mesh_failover`.
    pub mesh_failover: bool,
    /// Free text of the operator's.
    pub labels: Vec<(String, String)>,
}

/// One place where a service runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Instance {
    /// The server that it runs on.
    pub server: Server,
    /// The port that it listens on.
    pub port: u16,
    /// The operator's weight, 0 to 1,000; 0: he has taken the instance out.
    pub weight_hint: u16,
    /// What the probes say.
    pub health: Health,
    /// What the tunnel says.
    pub link: Link,
    /// Smoothed round trip, if measured.
    pub round_trip: Option<Duration>,
    /// Since `health` last changed.
    pub health_age: Duration,
    /// How often `health` changed in the last ten minutes.
    pub flaps: u32,
}
