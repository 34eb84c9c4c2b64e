//! Why there is no tunnel, and what to do.

use std::io;
use std::os::fd::RawFd;
use std::path::PathBuf;

use nix::errno::Errno;

use crate::limits::{MAX_MTU, MIN_MTU};

impl TunnelError {
    /// The number of what the kernel said, as far as it says anything.
    pub(crate) fn errno(&self) -> Option<Errno> {
        match self {
            Self::PortInUse { .. } => Some(Errno::EADDRINUSE),
            Self::Interface { source, .. }
            | Self::Remove { source, .. }
            | Self::Descriptor { source, .. }
            | Self::Socket { source, .. }
            | Self::Uapi { source, .. }
            | Self::Thread(source)
            | Self::SetMtu { source, .. } => source.raw_os_error().map(Errno::from_raw),
            _ => None,
        }
    }
}

/// Why there is no tunnel, and what to do.
#[derive(Debug, thiserror::Error)]
pub enum TunnelError {
    /// No name that an interface can have.
    #[error("`{interface}` is no name for an interface: 1 to 15 letters, digits, `-`, `_` or `.`")]
    InterfaceName {
        /// The name.
        interface: String,
    },
    /// The name is taken.
    #[error(
        "interface {interface} exists already: stop whoever made it (another agent, wg-quick, wireguard-go) or remove it with `ip link delete {interface}`"
    )]
    InterfaceInUse {
        /// The name.
        interface: String,
    },
    /// The kernel has no TUN device.
    #[error("no /dev/net/tun: load the module with `modprobe tun`; in a container, pass the device /dev/net/tun in")]
    NoTun,
    /// Not allowed to make interfaces.
    #[error("not permitted to make interface {interface}: run as root, or with CAP_NET_ADMIN")]
    NotPermitted {
        /// The name.
        interface: String,
    },
    /// The interface could not be made for another reason.
    #[error("cannot make interface {interface}")]
    Interface {
        /// The name.
        interface: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// What a tunnel left could not be removed.
    #[error(
        "cannot remove interface {interface}: is it a tunnel's? `ip -details link show {interface}` says what it is"
    )]
    Remove {
        /// The name.
        interface: String,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// What was handed over is no interface.
    #[error("descriptor {fd} is no TUN device: open /dev/net/tun with IFF_TUN and IFF_NO_PI before it is handed over")]
    Descriptor {
        /// The descriptor.
        fd: RawFd,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// The port is taken.
    #[error(
        "UDP port {port} is in use: see by whom with `ss -lunp sport = :{port}` and stop it, or set another listen_port"
    )]
    PortInUse {
        /// The port.
        port: u16,
    },
    /// The port could not be bound for another reason.
    #[error("cannot listen on UDP port {port}")]
    Socket {
        /// The port.
        port: u16,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// Another process answers `wg` for an interface of this name.
    #[error("another process serves {path}: stop it, it holds an interface of the same name")]
    UapiInUse {
        /// The socket.
        path: PathBuf,
    },
    /// The socket for `wg` could not be made.
    #[error("cannot serve {path} for `wg show`")]
    Uapi {
        /// The socket.
        path: PathBuf,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
    /// A thread, or the signal that stops it, could not be made.
    #[error("cannot start a thread of the tunnel")]
    Thread(#[source] io::Error),
    /// No sane MTU.
    #[error("MTU {mtu} is not between {MIN_MTU} and {MAX_MTU}")]
    Mtu {
        /// The MTU.
        mtu: u16,
    },
    /// The kernel refused the MTU.
    #[error("cannot set the MTU of {interface} to {mtu}")]
    SetMtu {
        /// The name.
        interface: String,
        /// The MTU.
        mtu: u16,
        /// What the kernel said.
        #[source]
        source: io::Error,
    },
}
