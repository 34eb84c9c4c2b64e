//! One server as it stands on the wire: 64 bytes, read in place.

use std::net::{IpAddr, SocketAddr};

use zerocopy::little_endian::{U16, U32};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

use crate::{KeyGeneration, MeshAddress, PublicKey};

/// A server of the mesh. 64 bytes, alignment 1, integers little endian; the layout is the wire's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, FromBytes, IntoBytes, Immutable, KnownLayout, Unaligned)]
#[repr(C)]
pub struct PeerRecord {
    pub(crate) public_key: PublicKey,
    /// IPv6, or IPv4-mapped; all zero: no endpoint.
    pub(crate) endpoint_ip: [u8; 16],
    pub(crate) endpoint_port: U16,
    /// Low 8 bits: generation of the key. The others are 0, and not looked at.
    pub(crate) flags: U16,
    /// Index in 100.64.0.0/10. In range in every record of a parsed state.
    pub(crate) address: U32,
    /// Of a length byte and that many bytes of name, in the names section.
    pub(crate) name_offset: U32,
    pub(crate) since: U32,
}

/// The wire says so.
const _: () = assert!(size_of::<PeerRecord>() == 64 && align_of::<PeerRecord>() == 1);

impl PeerRecord {
    /// The server's key.
    pub fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// The server's address in the mesh.
    pub fn address(&self) -> MeshAddress {
        MeshAddress::from_index(self.address.get()).expect("a parsed state holds addresses below 2^22 alone")
    }

    /// Where the server is reached, if it is known. An IPv4-mapped address comes back as IPv4.
    pub fn endpoint(&self) -> Option<SocketAddr> {
        let ip = IpAddr::from(self.endpoint_ip).to_canonical();
        let port = self.endpoint_port.get();
        (!ip.is_unspecified() && port != 0).then(|| SocketAddr::new(ip, port))
    }

    /// Generation of the key: grows when the server rotates it.
    pub fn key_generation(&self) -> KeyGeneration {
        KeyGeneration::from_number(self.flags.get().to_le_bytes()[0])
    }

    /// Revision at which this record last changed, low 32 bits.
    pub fn since(&self) -> u32 {
        self.since.get()
    }
}

/// The 16 bytes of an endpoint's address: IPv6, or IPv4-mapped; all zero for none.
pub(crate) fn endpoint_bytes(endpoint: Option<SocketAddr>) -> ([u8; 16], u16) {
    match endpoint {
        None => ([0; 16], 0),
        Some(SocketAddr::V4(v4)) => (v4.ip().to_ipv6_mapped().octets(), v4.port()),
        Some(SocketAddr::V6(v6)) => (v6.ip().octets(), v6.port()),
    }
}
