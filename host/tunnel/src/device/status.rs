//! What can be told of a session.

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use serde::Serialize;
use servos_mesh::{Link, PublicKey};

use super::PeerId;

/// One session at one moment.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SessionStatus {
    /// Which peer.
    #[serde(skip)]
    pub peer: PeerId,
    /// The peer's key.
    pub public_key: PublicKey,
    /// Where the peer was last heard from, or what its record says.
    pub endpoint: Option<SocketAddr>,
    /// When the last handshake was completed.
    pub last_handshake: Option<SystemTime>,
    /// Bytes of all authentic datagrams of the peer.
    pub rx_bytes: u64,
    /// Bytes of all datagrams to the peer.
    pub tx_bytes: u64,
    /// The way to the peer.
    pub link: Link,
    /// Time from the last initiation of ours to its response.
    pub round_trip: Option<Duration>,
}
