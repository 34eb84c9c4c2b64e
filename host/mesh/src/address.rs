//! An address of the mesh: an index below 2^22 into 100.64.0.0/10.

use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use crate::limits::MESH_ADDRESSES;

/// Network address of 100.64.0.0/10 (RFC 6598), host order.
const BASE: u32 = u32::from_be_bytes([100, 64, 0, 0]);

/// An address in 100.64.0.0/10, held as its index (0 ..= 2^22 - 1).
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(try_from = "Ipv4Addr", into = "Ipv4Addr")]
pub struct MeshAddress(u32);

impl MeshAddress {
    /// Bits of the mesh's prefix: 10.
    pub const PREFIX_LENGTH: u8 = 10;

    /// The network address, 100.64.0.0, never given to a server.
    pub const FIRST: Self = Self(0);

    /// The last address, 100.127.255.255, never given to a server.
    pub const LAST: Self = Self(MESH_ADDRESSES - 1);

    /// Makes an address of its index.
    ///
    /// # Errors
    ///
    /// [`AddressError::Index`] at 2^22 and above.
    pub fn from_index(index: u32) -> Result<Self, AddressError> {
        if index >= MESH_ADDRESSES {
            return Err(AddressError::Index(index));
        }
        Ok(Self(index))
    }

    /// The index in 100.64.0.0/10, below 2^22.
    pub fn index(self) -> u32 {
        self.0
    }

    /// The address as IPv4.
    pub fn ipv4(self) -> Ipv4Addr {
        Ipv4Addr::from(BASE + self.0)
    }
}

impl TryFrom<Ipv4Addr> for MeshAddress {
    type Error = AddressError;

    fn try_from(ip: Ipv4Addr) -> Result<Self, AddressError> {
        let index = u32::from(ip).wrapping_sub(BASE);
        Self::from_index(index).map_err(|_| AddressError::Outside(ip))
    }
}

impl From<MeshAddress> for Ipv4Addr {
    fn from(address: MeshAddress) -> Self {
        address.ipv4()
    }
}

impl FromStr for MeshAddress {
    type Err = AddressError;

    fn from_str(text: &str) -> Result<Self, AddressError> {
        let ip: Ipv4Addr = text.parse().map_err(|_| AddressError::Text)?;
        Self::try_from(ip)
    }
}

impl fmt::Display for MeshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ipv4().fmt(f)
    }
}

impl fmt::Debug for MeshAddress {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.ipv4().fmt(f)
    }
}

/// Why something is no mesh address.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum AddressError {
    /// An index of 2^22 or more.
    #[error("address index {0} is not below 4194304")]
    Index(u32),
    /// An IPv4 address outside 100.64.0.0/10.
    #[error("{0} is outside the mesh's 100.64.0.0/10")]
    Outside(Ipv4Addr),
    /// No IPv4 address at all.
    #[error("not an IPv4 address")]
    Text,
}
