//! Wake events: addresses of known peers without session to which a packet was sent.

use std::io;

use aya::maps::{MapData, RingBuf};
use servos_mesh::MeshAddress;
use tokio::io::unix::AsyncFd;

/// The ring of wake events.
pub struct Wakes(AsyncFd<RingBuf<MapData>>);

impl Wakes {
    #[allow(
        deprecated,
        reason = "its successor is unsafe for types that do not own what they poll; a ring owns its map"
    )]
    pub(crate) fn new(ring: RingBuf<MapData>) -> io::Result<Self> {
        AsyncFd::new(ring).map(Self)
    }

    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// What the system said when the ring broke.
    pub async fn next(&mut self) -> io::Result<MeshAddress> {
        loop {
            if let Some(address) = self.take() {
                return Ok(address);
            }
            let mut ready = self.0.readable_mut().await?;
            // Cleared before the ring is read again: an event in between makes it ready anew.
            ready.clear_ready();
        }
    }

    fn take(&mut self) -> Option<MeshAddress> {
        let ring = self.0.get_mut();
        loop {
            let item = ring.next()?;
            let Ok(bytes) = <[u8; 4]>::try_from(&item[..]) else { continue };
            if let Ok(address) = MeshAddress::from_index(u32::from_ne_bytes(bytes)) {
                return Some(address);
            }
        }
    }
}
