//! WireGuard's cross-platform userspace API (<https://www.wireguard.com/xplatform/>), so that `wg show` and `wg set` work.
//!
//! On an interface of a mesh it is read-only: the mesh state decides what the interface is, so `set=1` is refused.

mod answer;
mod conversation;
mod request;
mod server;

use nix::errno::Errno;

use crate::Device;
use crate::device::changes::Changes;

pub use conversation::Conversation;
pub(crate) use server::UapiServer;

/// The interface that is asked about.
pub trait Managed: Send + Sync {
    /// Its device.
    fn device(&self) -> &Device;

    /// The UDP port it listens on.
    fn port(&self) -> u16;

    /// Mark of what it sends; 0 for none.
    fn mark(&self) -> u32;

    /// Makes changes, all or those before the first that fails.
    fn set(&self, changes: &Changes) -> Result<(), Errno>;
}
