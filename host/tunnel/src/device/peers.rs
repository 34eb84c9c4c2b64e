//! The peers that a device knows, and which packet is whose. In a mesh the peer table *is* the map of allowed IPs.

use std::net::IpAddr;
use std::sync::Arc;

use arc_swap::ArcSwap;
use parking_lot::RwLock;
use servos_mesh::{MeshAddress, PeerRecord, PeerTable, PublicKey};
use zeroize::Zeroizing;

use super::configured_peers::ConfiguredPeers;
use super::peer::{Peer, PeerId};

/// Why a packet is nobody's.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Unroutable {
    /// The device does not carry such addresses.
    Outside,
    /// No peer has the address.
    Unknown,
}

/// Why a packet is not a peer's to send.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Inadmissible {
    /// Its source is not the peer's.
    Source,
    /// Its destination is not here.
    Destination,
}

/// Who the peers are.
pub(super) enum Peers {
    /// The servers of a mesh, seen from one of them.
    Mesh(MeshPeers),
    /// What `wg set` said.
    Configured(Box<RwLock<ConfiguredPeers>>),
}

pub(super) struct MeshPeers {
    table: ArcSwap<PeerTable>,
    own: MeshAddress,
}

impl Peers {
    pub(super) fn mesh(table: Arc<PeerTable>, own: MeshAddress) -> Self {
        Self::Mesh(MeshPeers { table: ArcSwap::new(table), own })
    }

    /// Puts another table in force; the one before comes back. None if the peers are not a mesh's.
    pub(super) fn swap(&self, table: Arc<PeerTable>) -> Option<Arc<PeerTable>> {
        match self {
            Self::Mesh(mesh) => Some(mesh.table.swap(table)),
            Self::Configured(_) => None,
        }
    }

    /// The configured ones, if they are.
    pub(super) fn configured(&self) -> Option<&RwLock<ConfiguredPeers>> {
        match self {
            Self::Mesh(_) => None,
            Self::Configured(peers) => Some(peers),
        }
    }

    /// Whose a packet to that address is.
    pub(super) fn route(&self, destination: IpAddr) -> Result<PeerId, Unroutable> {
        match self {
            Self::Configured(peers) => peers.read().route(destination).ok_or(Unroutable::Unknown),
            Self::Mesh(mesh) => {
                let IpAddr::V4(destination) = destination else { return Err(Unroutable::Outside) };
                let address = MeshAddress::try_from(destination).map_err(|_| Unroutable::Outside)?;
                match mesh.table.load().peer_by_address(address) {
                    Some(_) => Ok(address.into()),
                    None => Err(Unroutable::Unknown),
                }
            }
        }
    }

    /// Whether a peer may send a packet with these addresses.
    pub(super) fn admits(&self, peer: PeerId, source: IpAddr, destination: IpAddr) -> Result<(), Inadmissible> {
        match self {
            Self::Configured(peers) => {
                if peers.read().route(source) == Some(peer) {
                    Ok(())
                } else {
                    Err(Inadmissible::Source)
                }
            }
            Self::Mesh(mesh) => {
                if !peer.is_at(source) {
                    return Err(Inadmissible::Source);
                }
                if PeerId::from(mesh.own).is_at(destination) { Ok(()) } else { Err(Inadmissible::Destination) }
            }
        }
    }

    pub(super) fn peer(&self, id: PeerId) -> Option<Peer> {
        match self {
            Self::Mesh(mesh) => mesh.table.load().peer_by_address(id.mesh_address()?).map(peer),
            Self::Configured(peers) => peers.read().peer(id),
        }
    }

    pub(super) fn by_key(&self, key: &PublicKey) -> Option<Peer> {
        match self {
            Self::Mesh(mesh) => mesh.table.load().peer_by_key(key).map(peer),
            Self::Configured(peers) => peers.read().by_key(key),
        }
    }
}

fn peer(record: &PeerRecord) -> Peer {
    Peer {
        id: record.address().into(),
        public_key: *record.public_key(),
        preshared: Zeroizing::default(),
        endpoint: record.endpoint(),
        keepalive: None,
    }
}
