//! Which instances this server probes: those of failover services, a bounded number of each.

use std::collections::HashMap;
use std::net::SocketAddr;
use std::time::Duration;

use servos_mesh::{InstanceKey, Protocol, Service, Snapshot};

use crate::limits::MAX_PROBED;
use crate::settings::FailoverSettings;

/// How one instance is probed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Target {
    pub address: SocketAddr,
    /// Host name and path of an HTTP GET; none: a TCP connect.
    pub http: Option<(String, String)>,
    pub interval: Duration,
    pub timeout: Duration,
}

/// All targets of a snapshot. Cost follows the failover services, not the mesh.
pub(crate) fn targets(snapshot: &Snapshot, settings: &FailoverSettings) -> HashMap<InstanceKey, Target> {
    let services = snapshot.table.services().iter();
    // UDP has no answer that would tell.
    let probed = services.filter(|service| service.mesh_failover && service.protocol != Protocol::Udp);
    probed.flat_map(|service| of_service(snapshot, service, settings)).collect()
}

fn of_service<'a>(
    snapshot: &'a Snapshot,
    service: &'a Service,
    settings: &'a FailoverSettings,
) -> impl Iterator<Item = (InstanceKey, Target)> + 'a {
    let own = snapshot.table.own().map(|own| own.address());
    // Each server begins at its own place: its own instance first, and of a large service not all probe the same ones.
    let server_of = |at: usize| service.instances[at].server();
    let count = service.instances.len();
    let first = (0..count).position(|at| Some(server_of(at)) >= own).unwrap_or(0);
    let (interval, timeout) = match &service.health_check {
        Some(check) => (check.interval, check.timeout),
        None => (settings.probe_interval, settings.probe_timeout),
    };
    let path = service.health_check.as_ref().and_then(|check| check.path.clone());
    (0..count.min(MAX_PROBED)).map(move |step| {
        let instance = &service.instances[(first + step) % count];
        let server = instance.server();
        let key = InstanceKey { service: service.name.clone(), server, port: instance.port() };
        let address = SocketAddr::from((server.ipv4(), instance.port()));
        let http = path.clone().map(|path| (service.name.to_string(), path));
        (key, Target { address, http, interval, timeout })
    })
}
