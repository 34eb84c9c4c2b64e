//! Look-ups in the mesh: one question at a time, constant cost each.

use std::net::Ipv4Addr;

use crate::{Instance, Server, Service};

/// Where this server's failover proxy (Traefik) listens.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Proxy {
    /// Its address.
    pub address: Ipv4Addr,
    /// Ports on which it accepts connections.
    pub ports: Vec<u16>,
}

/// The mesh, as this server sees it.
pub trait Directory {
    /// Changes whenever any answer of this trait may have changed.
    fn generation(&self) -> u64;
    /// The search domain of the mesh.
    fn domain(&self) -> String;
    /// The server that the plugin runs on; nameless, at 0.0.0.0, until the first state of the mesh has come.
    fn this_server(&self) -> Server;
    /// A server by its DNS label.
    fn server_by_name(&self, name: &str) -> Option<Server>;
    /// A server by its mesh address.
    fn server_by_address(&self, address: Ipv4Addr) -> Option<Server>;
    /// A service by its DNS label.
    fn service_by_name(&self, name: &str) -> Option<Service>;
    /// A service by one of its further host names.
    fn service_by_host(&self, host: &str) -> Option<Service>;
    /// The instances of a service, 4,096 at most: all of this server's own, then the first others. Empty if there is no
    /// such service.
    fn instances(&self, service: &str) -> Vec<Instance>;
    /// The services that have an instance on this server.
    fn local_services(&self) -> Vec<Service>;
    /// None while no failover proxy listens on this server.
    fn failover_proxy(&self) -> Option<Proxy>;
}
