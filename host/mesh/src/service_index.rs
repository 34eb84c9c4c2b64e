//! The services of a mesh, found by name, by host name, and by the server that they run on.

use std::collections::HashSet;
use std::sync::Arc;

use crate::{MeshAddress, MeshDelta, Service};

/// See the module. Shared by all tables whose services are the same.
#[derive(Debug)]
pub(crate) struct ServiceIndex {
    /// Sorted by name, unique.
    services: Arc<[Service]>,
    /// `(host, index of the service)`, sorted.
    hosts: Vec<(String, usize)>,
    /// Services that have an instance on this server, by index.
    local: Vec<usize>,
    /// Servers that have an instance of any.
    hosting: HashSet<MeshAddress>,
}

impl ServiceIndex {
    pub(crate) fn new(services: Arc<[Service]>, own: Option<MeshAddress>) -> Self {
        let (mut hosts, mut local, mut hosting) = (Vec::new(), Vec::new(), HashSet::new());
        for (at, service) in services.iter().enumerate() {
            hosts.extend(service.hosts.iter().map(|host| (host.as_str().to_owned(), at)));
            let servers = service.instances.iter().map(|instance| instance.server());
            hosting.extend(servers.clone());
            if own.is_some_and(|own| servers.clone().any(|server| server == own)) {
                local.push(at);
            }
        }
        hosts.sort();
        Self { services, hosts, local, hosting }
    }

    /// What a delta leads to; none if it names no service. Costs all services, of which there are few beside servers.
    pub(crate) fn follow(&self, delta: &MeshDelta, own: Option<MeshAddress>) -> Option<Self> {
        let put = delta.services();
        let named: HashSet<&str> =
            delta.removed_services().chain(put.iter().map(|service| service.name.as_str())).collect();
        if named.is_empty() {
            return None;
        }
        let stay = self.services.iter().filter(|service| !named.contains(service.name.as_str()));
        let mut services: Vec<Service> = stay.chain(put).cloned().collect();
        services.sort_by(|one, other| one.name.cmp(&other.name));
        Some(Self::new(services.into(), own))
    }

    pub(crate) fn all(&self) -> &[Service] {
        &self.services
    }

    pub(crate) fn by_name(&self, name: &str) -> Option<&Service> {
        let at = self.services.binary_search_by(|service| service.name.as_str().cmp(name)).ok()?;
        self.services.get(at)
    }

    /// Of several, the first by its own name.
    pub(crate) fn by_host(&self, host: &str) -> Option<&Service> {
        let at = self.hosts.partition_point(|(name, _)| name.as_str() < host);
        let (name, service) = self.hosts.get(at)?;
        (name == host).then(|| &self.services[*service])
    }

    pub(crate) fn local(&self) -> impl Iterator<Item = &Service> {
        self.local.iter().map(|&at| &self.services[at])
    }

    /// Servers that have an instance of any.
    pub(crate) fn hosting(&self) -> &HashSet<MeshAddress> {
        &self.hosting
    }
}
