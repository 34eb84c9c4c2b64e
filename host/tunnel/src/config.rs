//! What a tunnel is made of.

use std::num::NonZeroUsize;
use std::path::PathBuf;

use servos_mesh::MeshAddress;

use crate::PrivateKey;

/// What a tunnel is made of.
#[derive(Clone, Debug)]
pub struct TunnelConfig {
    /// Name of the interface, for example `wg0`.
    pub interface: String,
    /// This server's key.
    pub private_key: PrivateKey,
    /// UDP port on all addresses; 0 takes a free one.
    pub listen_port: u16,
    /// This server's address in the mesh.
    pub address: MeshAddress,
    /// MTU of the interface, bytes.
    pub mtu: u16,
    /// Queues and sockets, each with a thread each way; [`limits::lanes`](crate::limits::lanes) suits most.
    pub lanes: NonZeroUsize,
    /// Whether the interface stays when the tunnel ends, be it killed: packets for the mesh end in it meanwhile, where they
    /// would else leave by the default route, in clear. The next tunnel takes it over; [`Tunnel::remove_left`] removes it.
    ///
    /// [`Tunnel::remove_left`]: crate::Tunnel::remove_left
    pub stays: bool,
    /// File that keeps the times of handshakes, so that none can be replayed after a restart.
    pub handshakes: Option<PathBuf>,
    /// File that keeps with whom there are sessions, so that after a restart keys are agreed anew at once.
    pub sessions: Option<PathBuf>,
}
