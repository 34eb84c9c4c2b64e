//! One peer: its name within the device, and what a session needs to know of it.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Duration;

use servos_mesh::{MeshAddress, PublicKey};
use zeroize::Zeroizing;

use crate::noise::PresharedKey;

/// Names a peer of a device: in a mesh, its address there; else its place among those that were configured.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PeerId(u32);

impl PeerId {
    /// The address, if this names a server of a mesh.
    pub fn mesh_address(self) -> Option<MeshAddress> {
        MeshAddress::try_from(Ipv4Addr::from(self.0)).ok()
    }

    /// Whether this names the server of a mesh with that address.
    pub(super) fn is_at(self, ip: IpAddr) -> bool {
        matches!(ip, IpAddr::V4(ip) if u32::from(ip) == self.0)
    }

    /// The peer that was configured as number so much; below the addresses of meshes.
    pub(super) fn configured(number: u32) -> Self {
        Self(number)
    }
}

impl From<MeshAddress> for PeerId {
    fn from(address: MeshAddress) -> Self {
        Self(address.ipv4().into())
    }
}

/// What a session needs to know of its peer.
#[derive(Clone)]
pub(super) struct Peer {
    pub(super) id: PeerId,
    pub(super) public_key: PublicKey,
    /// Zeros where there is none.
    pub(super) preshared: Zeroizing<PresharedKey>,
    pub(super) endpoint: Option<SocketAddr>,
    /// An empty message goes out when nothing else did for so long.
    pub(super) keepalive: Option<Duration>,
}
