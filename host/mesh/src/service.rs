//! A service (a resource of the organisation): a name, a port, and the instances behind it.

use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::limits::{
    MAX_HEALTH_INTERVAL, MAX_HEALTH_TIMEOUT, MAX_HOSTS, MAX_INSTANCES, MAX_LABEL_TEXT, MAX_LABELS, MAX_PATH,
    MAX_WEIGHT, MIN_HEALTH_INTERVAL,
};
use crate::{DnsLabel, HostName, MeshAddress, WireError};

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

impl Service {
    /// Whether readers will take this service, its instances apart: what the control plane asks before it stores one,
    /// because a mesh with a single service that does not parse is refused whole.
    ///
    /// # Errors
    ///
    /// [`WireError::Invalid`]: port 0; too many hosts or labels; a label without key, too long or with control
    /// characters; a health check out of its limits.
    pub fn check(&self) -> Result<(), WireError> {
        self.check_text().map_err(|problem| WireError::invalid("service", problem))
    }

    pub(crate) fn check_text(&self) -> Result<(), String> {
        let name = &self.name;
        if self.port == 0 {
            return Err(format!("{name}: port 0"));
        }
        if self.hosts.len() > MAX_HOSTS {
            return Err(format!("{name}: more than {MAX_HOSTS} hosts"));
        }
        if self.labels.len() > MAX_LABELS {
            return Err(format!("{name}: more than {MAX_LABELS} labels"));
        }
        let fine = |text: &str| text.len() <= MAX_LABEL_TEXT && !text.chars().any(char::is_control);
        if !self.labels.iter().all(|(key, value)| !key.is_empty() && fine(key) && fine(value)) {
            return Err(format!(
                "{name}: a label without key, longer than {MAX_LABEL_TEXT} bytes, or with control characters"
            ));
        }
        let Some(check) = &self.health_check else {
            return Ok(());
        };
        if check.interval < MIN_HEALTH_INTERVAL || check.interval > MAX_HEALTH_INTERVAL {
            return Err(format!("{name}: health check with an interval outside 100 ms to 1 h"));
        }
        // The wire counts whole milliseconds.
        if check.timeout.as_millis() == 0 || check.timeout > MAX_HEALTH_TIMEOUT {
            return Err(format!("{name}: health check with a timeout outside 1 ms to 60 s"));
        }
        let fine =
            |path: &str| path.starts_with('/') && path.len() <= MAX_PATH && path.bytes().all(|b| b.is_ascii_graphic());
        if check.path.as_deref().is_some_and(|path| !fine(path)) {
            return Err(format!(
                "{name}: health check path must start with '/', without blanks, up to {MAX_PATH} bytes"
            ));
        }
        Ok(())
    }

    /// That its instances run on servers that exist is seen to by whoever knows the servers.
    pub(crate) fn check_instances(&self) -> Result<(), String> {
        let name = &self.name;
        if self.instances.len() > MAX_INSTANCES {
            return Err(format!("{name}: more than {MAX_INSTANCES} instances"));
        }
        if self.instances.iter().any(|i| i.port() == 0 || i.weight() > MAX_WEIGHT) {
            return Err(format!("{name}: an instance on port 0, or of a weight over {MAX_WEIGHT}"));
        }
        let place = |instance: &Instance| (instance.server(), instance.port());
        if !self.instances.is_sorted_by(|a, b| place(a) < place(b)) {
            return Err(format!("{name}: instances not sorted by server and port, or not unique"));
        }
        Ok(())
    }
}

/// One place where a service runs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Instance {
    server: MeshAddress,
    port: u16,
    weight: u16,
}

impl Instance {
    /// An instance on the server with that address, listening on `port`.
    pub fn new(server: MeshAddress, port: u16, weight: u16) -> Self {
        Self { server, port, weight }
    }

    /// Address of the server that it runs on.
    pub fn server(&self) -> MeshAddress {
        self.server
    }

    /// The port that it listens on.
    pub fn port(&self) -> u16 {
        self.port
    }

    /// The operator's weight, 0 to 1,000.
    pub fn weight(&self) -> u16 {
        self.weight
    }
}
