//! Who asks, and what that entitles to.

use std::net::{IpAddr, Ipv4Addr};

use servos_mesh::MeshAddress;

use crate::Network;
use crate::own_addresses::OwnAddresses;

/// Who asks.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Client {
    /// This host, or a network that the settings name: names of the mesh, and forwarding.
    Local,
    /// Another server of the mesh: names of the mesh.
    Mesh,
    /// Anybody else: nothing. The mesh address can be reached from a neighbour's network, too.
    Stranger,
}

/// Tells them apart.
#[derive(Debug)]
pub(crate) struct Clients {
    mesh_address: Ipv4Addr,
    allowed: Vec<Network>,
    own: OwnAddresses,
}

impl Clients {
    pub(crate) fn new(mesh_address: MeshAddress, allowed: Vec<Network>) -> Self {
        Self { mesh_address: mesh_address.ipv4(), allowed, own: OwnAddresses::default() }
    }

    pub(crate) fn who(&self, source: IpAddr) -> Client {
        let IpAddr::V4(source) = source.to_canonical() else { return Client::Stranger };
        if source.is_loopback() || source == self.mesh_address {
            return Client::Local;
        }
        if self.allowed.iter().any(|network| network.contains(source)) {
            return Client::Local;
        }
        if MeshAddress::try_from(source).is_ok() {
            return Client::Mesh;
        }
        if self.own.contains(source) { Client::Local } else { Client::Stranger }
    }
}
