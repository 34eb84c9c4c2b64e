//! What this server itself sees of the mesh: health of instances, state of links; and the snapshot that joins it
//! with the state that the control plane sent.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::{DnsLabel, MeshAddress, PeerTable};

/// What this server's own probes say of an instance.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
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
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Link {
    /// The server is this one.
    Local,
    /// A session exists and its last handshake is fresh.
    Up,
    /// No session: nothing was sent lately.
    #[default]
    Idle,
    /// Handshakes are being sent and not answered.
    Down,
}

/// Names one instance of a service.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub struct InstanceKey {
    /// The service.
    pub service: DnsLabel,
    /// The server that it runs on.
    pub server: MeshAddress,
    /// The port that it listens on.
    pub port: u16,
}

/// What the probes of one instance say.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct InstanceObservation {
    /// The verdict.
    pub health: Health,
    /// When the verdict last changed.
    pub changed_at: Instant,
    /// How often the verdict changed in the last ten minutes.
    pub flaps: u32,
    /// Smoothed time of a successful probe.
    pub round_trip: Option<Duration>,
}

/// What the tunnel says of the way to one server.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LinkObservation {
    /// The verdict.
    pub link: Link,
    /// Smoothed round trip, if measured.
    pub round_trip: Option<Duration>,
}

/// Where this server's failover proxy (Traefik) listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Proxy {
    /// The address that names of failover services resolve to.
    pub address: MeshAddress,
    /// Ports on which it accepts connections, sorted.
    pub ports: Vec<u16>,
}

/// All that this server sees, for what it looks at alone: nothing here grows with the mesh.
#[derive(Clone, Debug, Default)]
pub struct Observations {
    /// Of instances of failover services.
    pub instances: HashMap<InstanceKey, InstanceObservation>,
    /// Of servers with a session.
    pub links: HashMap<MeshAddress, LinkObservation>,
    /// None while it does not listen.
    pub proxy: Option<Proxy>,
}

/// The mesh as this server knows it at one moment: immutable, swapped whole.
#[derive(Clone, Debug)]
pub struct Snapshot {
    /// Grows with every change of any part, round trips excepted.
    pub generation: u64,
    /// When this snapshot was made; ages are counted up to here.
    pub taken_at: Instant,
    /// What the control plane said.
    pub table: Arc<PeerTable>,
    /// What this server sees.
    pub observations: Arc<Observations>,
}

impl Snapshot {
    /// What is known of an instance.
    pub fn instance(&self, key: &InstanceKey) -> Option<&InstanceObservation> {
        self.observations.instances.get(key)
    }

    /// What is known of the way to a server.
    pub fn link(&self, server: MeshAddress) -> LinkObservation {
        if self.table.own().is_some_and(|own| own.address() == server) {
            return LinkObservation { link: Link::Local, round_trip: None };
        }
        self.observations.links.get(&server).copied().unwrap_or_default()
    }
}
