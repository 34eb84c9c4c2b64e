//! The WireGuard interface: a sans-I/O device core, and the userspace backend around it.
//!
//! [`Tunnel`] is what the agent holds. [`Device`] decides; it is handed packets, datagrams, time-outs and tables, and
//! never touches a socket or a clock. `backend` moves bytes between it and the kernel, `uapi` answers `wg show`.

mod backend;
mod config;
mod counters;
pub mod device;
mod error;
mod key;
pub mod limits;
pub mod mtu;
mod noise;
pub mod offload;
mod tunnel;
mod uapi;

pub use backend::userspace::InterfaceSource;
pub use config::TunnelConfig;
pub use counters::{DropCounters, TunnelCounters};
pub use device::{Applied, Device, OwnKeys, SessionStatus, TunnelEvent};
pub use error::TunnelError;
pub use key::{PrivateKey, PrivateKeyError};
pub use tunnel::Tunnel;

/// Whether this machine's processor has the vectors of 512 bits in which packets are sealed and opened side by side. Others
/// seal one after the other.
#[must_use]
pub fn seals_side_by_side() -> bool {
    noise::seals_side_by_side()
}

/// What `wg` is answered, without a socket: for whoever tries it with any bytes.
#[doc(hidden)]
pub use uapi::{Conversation, Managed};
