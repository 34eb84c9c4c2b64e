//! Where a peer is reached.

use std::net::{IpAddr, SocketAddr};

/// A peer's socket, and our address that it spoke to: answers leave from there.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Endpoint {
    /// The peer's socket.
    pub to: SocketAddr,
    /// Our address; none leaves the choice to the kernel's routes.
    pub from: Option<IpAddr>,
}

impl Endpoint {
    /// As a datagram was received. An IPv4 address that came through an IPv6 socket is IPv4; an address of ours that was
    /// meant for many sends nothing.
    pub fn received(source: SocketAddr, own: Option<IpAddr>) -> Self {
        let ip = source.ip().to_canonical();
        let to = if ip.is_ipv4() { SocketAddr::new(ip, source.port()) } else { source };
        let from = own.map(|own| own.to_canonical()).filter(|own| !is_of_many(*own));
        Self { to, from }
    }
}

impl From<SocketAddr> for Endpoint {
    fn from(to: SocketAddr) -> Self {
        Self { to, from: None }
    }
}

fn is_of_many(ip: IpAddr) -> bool {
    ip.is_multicast() || matches!(ip, IpAddr::V4(ip) if ip.is_broadcast())
}
