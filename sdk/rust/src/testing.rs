//! A mesh in memory, for plain `cargo test`.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;
use std::time::Duration;

use crate::weighting::Candidate;
use crate::{Directory, Health, Instance, Link, Protocol, Proxy, Server, Service};

/// Servers and services of a test. The first server added is the one that the plugin runs on.
#[derive(Clone, Debug, Default)]
pub struct Mesh {
    servers: Vec<Server>,
    services: BTreeMap<String, (Service, Vec<Instance>)>,
    proxy: Option<Proxy>,
}

impl Mesh {
    /// No servers yet; the domain is `mesh.internal`.
    pub fn new() -> Self {
        Self::default()
    }

    /// Adds a server with the next address from 100.64.0.1.
    #[must_use]
    pub fn server(mut self, name: &str) -> Self {
        let index = self.servers.len() as u32 + 1;
        let address = Ipv4Addr::from(u32::from(Ipv4Addr::new(100, 64, 0, 0)) + index);
        self.servers.push(Server { name: name.to_owned(), address });
        self
    }

    /// Adds a service.
    #[must_use]
    pub fn service(mut self, name: &str, protocol: Protocol, port: u16, mesh_failover: bool) -> Self {
        let service =
            Service { name: name.to_owned(), protocol, port, hosts: Vec::new(), mesh_failover, labels: Vec::new() };
        self.services.insert(name.to_owned(), (service, Vec::new()));
        self
    }

    /// Gives a service a further host name.
    ///
    /// # Panics
    ///
    /// If there is no such service.
    #[must_use]
    pub fn host(mut self, service: &str, host: &str) -> Self {
        self.entry(service).0.hosts.push(host.to_owned());
        self
    }

    /// Gives a service a label.
    ///
    /// # Panics
    ///
    /// If there is no such service.
    #[must_use]
    pub fn label(mut self, service: &str, key: &str, value: &str) -> Self {
        self.entry(service).0.labels.push((key.to_owned(), value.to_owned()));
        self
    }

    /// Adds an instance of a service on a server, healthy as given.
    ///
    /// # Panics
    ///
    /// If there is no such service or server.
    #[must_use]
    pub fn instance(self, service: &str, server: &str, port: u16, health: Health) -> Self {
        let instance = self.make_instance(server, port, health);
        self.instance_with(service, instance)
    }

    /// Adds an instance as it is.
    ///
    /// # Panics
    ///
    /// If there is no such service.
    #[must_use]
    pub fn instance_with(mut self, service: &str, instance: Instance) -> Self {
        self.entry(service).1.push(instance);
        self
    }

    /// An instance of weight 100 to be changed and added.
    ///
    /// # Panics
    ///
    /// If there is no such server.
    pub fn make_instance(&self, server: &str, port: u16, health: Health) -> Instance {
        let server = self.server_by_name(server).unwrap_or_else(|| panic!("the test has no server {server}"));
        let link = if server == self.this_server() { Link::Local } else { Link::Up };
        let health_age = Duration::from_secs(3_600);
        Instance { server, port, weight_hint: 100, health, link, round_trip: None, health_age, flaps: 0 }
    }

    /// The instances of a service as a weighting plugin gets them, without a weight in force.
    pub fn candidates(&self, service: &str) -> Vec<Candidate> {
        let candidate = |instance| Candidate { instance, current_weight: None };
        self.instances(service).into_iter().map(candidate).collect()
    }

    /// Lets the failover proxy listen on this server.
    #[must_use]
    pub fn proxy(mut self, ports: &[u16]) -> Self {
        self.proxy = Some(Proxy { address: self.this_server().address, ports: ports.to_vec() });
        self
    }

    fn entry(&mut self, service: &str) -> &mut (Service, Vec<Instance>) {
        self.services.get_mut(service).unwrap_or_else(|| panic!("the test has no service {service}"))
    }
}

impl Directory for Mesh {
    fn generation(&self) -> u64 {
        1
    }

    fn domain(&self) -> String {
        "mesh.internal".to_owned()
    }

    fn this_server(&self) -> Server {
        self.servers.first().cloned().unwrap_or_else(|| panic!("the test has no server"))
    }

    fn server_by_name(&self, name: &str) -> Option<Server> {
        self.servers.iter().find(|server| server.name == name).cloned()
    }

    fn server_by_address(&self, address: Ipv4Addr) -> Option<Server> {
        self.servers.iter().find(|server| server.address == address).cloned()
    }

    fn service_by_name(&self, name: &str) -> Option<Service> {
        self.services.get(name).map(|(service, _)| service.clone())
    }

    fn service_by_host(&self, host: &str) -> Option<Service> {
        let has = |service: &&Service| service.hosts.iter().any(|known| known == host);
        self.services.values().map(|(service, _)| service).find(has).cloned()
    }

    fn instances(&self, service: &str) -> Vec<Instance> {
        self.services.get(service).map(|(_, instances)| instances.clone()).unwrap_or_default()
    }

    fn local_services(&self) -> Vec<Service> {
        let own = self.this_server();
        let here = |instances: &[Instance]| instances.iter().any(|instance| instance.server == own);
        self.services.values().filter(|(_, instances)| here(instances)).map(|(service, _)| service.clone()).collect()
    }

    fn failover_proxy(&self) -> Option<Proxy> {
        self.proxy.clone()
    }
}
