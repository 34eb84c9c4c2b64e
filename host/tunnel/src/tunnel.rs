//! The tunnel as the agent holds it: the device core, its backend, and the socket that `wg` asks.

use std::fmt;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use servos_mesh::{MeshAddress, PeerTable};
use tokio::sync::mpsc::UnboundedReceiver;

use crate::backend::userspace::Userspace;
use crate::limits::{Limits, MAX_MTU, MIN_MTU};
use crate::uapi::UapiServer;
use crate::{Applied, Device, PrivateKey, SessionStatus, TunnelCounters, TunnelEvent};

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
}

/// A running WireGuard interface. Ends when it is dropped.
pub struct Tunnel {
    device: Arc<Device>,
    // Dropped in this order: nobody is told of an interface that is gone.
    uapi: UapiServer,
    backend: Userspace,
}

impl Tunnel {
    /// Makes the interface, up, with its address/10; binds the UDP port; serves `wg show`. Blocks for some
    /// milliseconds. Needs `CAP_NET_ADMIN`.
    ///
    /// # Errors
    ///
    /// [`TunnelError`]; what was made until then is taken back.
    pub fn start(config: TunnelConfig, table: Arc<PeerTable>) -> Result<Self, TunnelError> {
        Self::start_with(config, Limits::default(), table)
    }

    /// The same with other limits.
    ///
    /// # Errors
    ///
    /// As [`Tunnel::start`].
    pub fn start_with(config: TunnelConfig, limits: Limits, table: Arc<PeerTable>) -> Result<Self, TunnelError> {
        check_mtu(config.mtu)?;
        let started = (Instant::now(), SystemTime::now());
        let key = config.private_key.clone();
        let device = Arc::new(Device::new(key, config.address, config.mtu, limits, table, started));
        let backend = Userspace::start(&config, device.clone())?;
        let uapi = UapiServer::start(&config.interface, backend.port(), device.clone())?;
        tracing::info!(interface = config.interface, address = %config.address, port = backend.port(), "tunnel up");
        Ok(Self { device, uapi, backend })
    }

    /// Swaps the table in one step and looks at the sessions. Sessions of peers that did not change keep their keys,
    /// counters and roamed endpoints.
    pub fn apply(&self, table: Arc<PeerTable>) -> Applied {
        self.device.apply(Instant::now(), table)
    }

    /// Changes the interface's MTU, bytes.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Mtu`] below 1,280 or above 65,424; [`TunnelError::SetMtu`] if the kernel refuses.
    pub fn set_mtu(&self, mtu: u16) -> Result<(), TunnelError> {
        check_mtu(mtu)?;
        let before = self.device.mtu();
        // The device first when it grows: its buffers are there before the first long packet.
        self.device.set_mtu(mtu.max(before));
        self.backend.set_mtu(mtu)?;
        self.device.set_mtu(mtu);
        Ok(())
    }

    /// The sessions at this moment. Makes none.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.device.sessions()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> TunnelCounters {
        self.device.counters()
    }

    /// Events from here on, after one `SessionMade` for each session there is.
    pub fn events(&self) -> UnboundedReceiver<TunnelEvent> {
        self.device.events()
    }

    /// The UDP port that is listened on.
    pub fn port(&self) -> u16 {
        self.backend.port()
    }

    /// Ends the tunnel: its threads are joined, its interface is gone when this returns. Blocks for some milliseconds.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl fmt::Debug for Tunnel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Tunnel").field("socket", &self.uapi.path()).field("port", &self.port()).finish_non_exhaustive()
    }
}

fn check_mtu(mtu: u16) -> Result<(), TunnelError> {
    if (MIN_MTU..=MAX_MTU).contains(&mtu) { Ok(()) } else { Err(TunnelError::Mtu { mtu }) }
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
