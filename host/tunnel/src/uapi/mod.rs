//! WireGuard's cross-platform userspace API (<https://www.wireguard.com/xplatform/>), so that `wg show` works.
//!
//! It is read-only: the mesh state decides what the interface is, so `set=1` is refused.

mod answer;
mod request;
mod server;

pub(crate) use server::UapiServer;
