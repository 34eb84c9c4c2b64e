//! A resource as it is printed: what `resource apply` reads.

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Serialize;
use servos_mesh::{DnsLabel, HealthCheck, HostName, Protocol};

use super::{Placement, Resource};

/// A resource in the shape of the file.
#[derive(Clone, Debug, Serialize)]
pub struct ResourceDocument {
    name: DnsLabel,
    protocol: Protocol,
    port: u16,
    enable_mesh_failover: bool,
    #[serde(skip_serializing_if = "Vec::is_empty")]
    hosts: Vec<HostName>,
    #[serde(skip_serializing_if = "BTreeMap::is_empty")]
    labels: BTreeMap<String, String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    health_check: Option<HealthCheckDocument>,
    instances: Vec<InstanceDocument>,
}

impl ResourceDocument {
    /// A line of a table: name, protocol, port, mesh failover, where it runs.
    pub fn row(&self) -> Vec<String> {
        const SHOWN: usize = 3;
        let mut places: Vec<_> =
            self.instances.iter().take(SHOWN).map(|place| format!("{}:{}", place.server, place.port)).collect();
        if self.instances.len() > SHOWN {
            places.push(format!("and {} more", self.instances.len() - SHOWN));
        }
        let failover = if self.enable_mesh_failover { "yes" } else { "no" };
        vec![
            self.name.to_string(),
            self.protocol.as_str().to_owned(),
            self.port.to_string(),
            failover.to_owned(),
            if places.is_empty() { "-".to_owned() } else { places.join(", ") },
        ]
    }
}

#[derive(Clone, Debug, Serialize)]
struct HealthCheckDocument {
    #[serde(skip_serializing_if = "Option::is_none")]
    path: Option<String>,
    interval: String,
    timeout: String,
}

#[derive(Clone, Debug, Serialize)]
struct InstanceDocument {
    server: DnsLabel,
    port: u16,
    weight: u16,
}

impl From<Resource> for ResourceDocument {
    fn from(resource: Resource) -> Self {
        let service = resource.service;
        Self {
            name: service.name,
            protocol: service.protocol,
            port: service.port,
            enable_mesh_failover: service.mesh_failover,
            hosts: service.hosts,
            labels: service.labels.into_iter().collect(),
            health_check: service.health_check.map(HealthCheckDocument::from),
            instances: resource.instances.into_iter().map(InstanceDocument::from).collect(),
        }
    }
}

impl From<HealthCheck> for HealthCheckDocument {
    fn from(check: HealthCheck) -> Self {
        let text = |duration: Duration| humantime::format_duration(duration).to_string();
        Self { path: check.path, interval: text(check.interval), timeout: text(check.timeout) }
    }
}

impl From<Placement> for InstanceDocument {
    fn from(placement: Placement) -> Self {
        Self { server: placement.server, port: placement.port, weight: placement.weight }
    }
}
