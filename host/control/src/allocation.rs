//! Which address a server that joins is given: one that nobody ever had, as long as there is one; then the one that
//! has been free for longest. A peer whose table is stale then does not take the new server for the old one.

use servos_mesh::MeshAddress;
use servos_mesh::limits::MESH_ADDRESSES;

/// The address indexes that servers may have, both ends included.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct AddressPool {
    /// The lowest.
    pub first: u32,
    /// The highest.
    pub last: u32,
}

impl Default for AddressPool {
    /// 100.64.0.0/10 without its first and its last address.
    fn default() -> Self {
        Self { first: 1, last: MESH_ADDRESSES - 2 }
    }
}

/// An address that is to be given out, and what that does to the books.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Allocation {
    /// Nobody ever had it; the next that nobody ever had is one higher.
    Fresh(MeshAddress),
    /// It was freed, and is to be taken off the list of freed ones.
    Reused(MeshAddress),
}

impl Allocation {
    /// The address.
    pub fn address(self) -> MeshAddress {
        match self {
            Self::Fresh(address) | Self::Reused(address) => address,
        }
    }
}

/// Chooses an address. `next`: the lowest index that nobody ever had; `oldest_freed`: the index that has been free for
/// longest. The same cost whatever the number of servers.
///
/// # Errors
///
/// [`Exhausted`] if every address of the pool is in use.
pub fn choose(pool: AddressPool, next: u32, oldest_freed: Option<u32>) -> Result<Allocation, Exhausted> {
    let fresh = next.max(pool.first);
    if fresh <= pool.last
        && let Ok(address) = MeshAddress::from_index(fresh)
    {
        return Ok(Allocation::Fresh(address));
    }
    let freed = oldest_freed.and_then(|index| MeshAddress::from_index(index).ok()).ok_or(Exhausted)?;
    Ok(Allocation::Reused(freed))
}

/// Every address is in use.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("every address of the mesh is in use: delete servers that are gone (`servos-control server delete`)")]
pub struct Exhausted;
