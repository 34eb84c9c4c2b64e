//! What `wg set` may ask of a device.

use std::net::SocketAddr;
use std::time::Duration;

use ipnet::IpNet;
use servos_mesh::PublicKey;
use zeroize::Zeroizing;

use crate::PrivateKey;
use crate::noise::PresharedKey;

/// Changes of a device, in the order in which they are made. What is not named stays, unless it says otherwise.
#[derive(Default)]
pub struct Changes {
    /// Another key; `Some(None)` takes it away.
    pub private_key: Option<Option<PrivateKey>>,
    /// Another UDP port; 0 takes a free one.
    pub listen_port: Option<u16>,
    /// Mark of the datagrams sent (`SO_MARK`); 0 for none.
    pub firewall_mark: Option<u32>,
    /// Peers that are not named go; of those that are, what is not named goes, but for session and endpoint.
    pub replace_peers: bool,
    /// Changes of peers.
    pub peers: Vec<PeerChange>,
}

/// Changes of one peer.
pub struct PeerChange {
    /// Which.
    pub public_key: PublicKey,
    /// It goes.
    pub remove: bool,
    /// It is changed if it is there, and not made.
    pub update_only: bool,
    /// Another pre-shared key; zeros take it away.
    pub preshared: Option<Zeroizing<PresharedKey>>,
    /// Where it is reached.
    pub endpoint: Option<SocketAddr>,
    /// Interval of keepalives; zero switches them off.
    pub keepalive: Option<Duration>,
    /// Allowed IPs that are not named go.
    pub replace_allowed_ips: bool,
    /// Prefixes, and whether each is taken away.
    pub allowed_ips: Vec<(IpNet, bool)>,
}

impl PeerChange {
    /// Changes nothing but that the peer is there.
    pub fn of(public_key: PublicKey) -> Self {
        Self {
            public_key,
            remove: false,
            update_only: false,
            preshared: None,
            endpoint: None,
            keepalive: None,
            replace_allowed_ips: false,
            allowed_ips: Vec::new(),
        }
    }
}
