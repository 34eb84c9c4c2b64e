//! The tunnel as the agent holds it: the device core, its backend, and the socket that `wg` asks.

use std::fmt;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd, RawFd};
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use nix::errno::Errno;
use servos_mesh::PeerTable;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::backend::userspace::{self, InterfaceSource, Userspace};
use crate::device::DatagramBatch;
use crate::device::changes::Changes;
use crate::limits::{DEFAULT_MTU, Limits, MAX_MTU, MIN_MTU};
use crate::uapi::{Managed, UapiServer};
use crate::{Applied, Device, OwnKeys, SessionStatus, TunnelConfig, TunnelCounters, TunnelError, TunnelEvent};

/// A running WireGuard interface. Ends when it is dropped.
pub struct Tunnel {
    // Dropped in this order: nobody is told of an interface that is gone.
    uapi: UapiServer,
    interface: Arc<Interface>,
}

/// An interface: what it decides, and what moves its bytes.
struct Interface {
    device: Arc<Device>,
    backend: Userspace,
}

impl Tunnel {
    /// Makes the interface, up, with its address/10, or takes over what a tunnel left; binds the UDP port; serves `wg show`. Blocks for some
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
        if let Some(path) = &config.handshakes
            && let Err(error) = device.keep_handshakes(path)
        {
            // No reason to be without a mesh.
            tracing::warn!(path = %path.display(), %error, "times of handshakes are not kept: old ones may be replayed");
        }
        if let Some(path) = &config.sessions
            && let Err(error) = device.keep_sessions(started, path)
        {
            tracing::warn!(path = %path.display(), %error, "sessions are not kept: peers notice a restart after a while");
        }
        let backend = Userspace::start(&config, device.clone())?;
        let tunnel = Self::serve(Interface { device, backend }, None)?;
        // At the end: what failed before was taken back.
        if let Err(error) = tunnel.interface.backend.set_stays(config.stays) {
            tracing::warn!(%error, "the interface goes when the tunnel ends");
        }
        tracing::info!(interface = config.interface, address = %config.address, port = tunnel.port(), "tunnel up");
        Ok(tunnel)
    }

    /// Makes an interface like `wireguard-go` does: without address, down, without key and peers. `wg set`, `wg setconf`
    /// and `ip` configure it. `uapi`: the listening socket that `wg` connects to, if it was opened before (`WG_UAPI_FD`).
    ///
    /// # Errors
    ///
    /// As [`Tunnel::start`].
    pub fn start_configurable(
        source: &InterfaceSource,
        uapi: Option<RawFd>,
        lanes: NonZeroUsize,
        limits: Limits,
    ) -> Result<Self, TunnelError> {
        let started = (Instant::now(), SystemTime::now());
        let device = Arc::new(Device::configurable(DEFAULT_MTU, limits, started));
        let backend = Userspace::start_configurable(source, lanes, device.clone())?;
        Self::serve(Interface { device, backend }, uapi)
    }

    fn serve(interface: Interface, uapi: Option<RawFd>) -> Result<Self, TunnelError> {
        let interface = Arc::new(interface);
        let uapi = UapiServer::start(interface.backend.interface(), uapi, interface.clone())?;
        Ok(Self { uapi, interface })
    }

    /// Becomes readable when somebody deleted the interface.
    pub fn gone(&self) -> BorrowedFd<'_> {
        self.interface.backend.gone().as_fd()
    }

    /// Swaps the table in one step and looks at the sessions. Sessions of peers that did not change keep their keys,
    /// counters and roamed endpoints.
    pub fn apply(&self, table: Arc<PeerTable>) -> Applied {
        self.interface.device.apply(Instant::now(), table)
    }

    /// Answers to these keys from here on. Sessions, packets held and under way are not touched.
    pub fn set_keys(&self, keys: OwnKeys) {
        self.interface.device.set_keys(keys);
    }

    /// Changes the interface's MTU, bytes.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Mtu`] below 1,280 or above 65,424; [`TunnelError::SetMtu`] if the kernel refuses.
    pub fn set_mtu(&self, mtu: u16) -> Result<(), TunnelError> {
        check_mtu(mtu)?;
        let before = self.interface.device.mtu();
        // The device first when it grows: its buffers are there before the first long packet.
        self.interface.device.set_mtu(mtu.max(before));
        self.interface.backend.set_mtu(mtu)?;
        self.interface.device.set_mtu(mtu);
        Ok(())
    }

    /// The sessions at this moment. Makes none.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        self.interface.device.sessions()
    }

    /// What was counted since the start.
    pub fn counters(&self) -> TunnelCounters {
        self.interface.device.counters()
    }

    /// Events from here on, after one `SessionMade` for each session there is.
    pub fn events(&self) -> UnboundedReceiver<TunnelEvent> {
        self.interface.device.events()
    }

    /// The UDP port that is listened on.
    pub fn port(&self) -> u16 {
        self.interface.backend.port()
    }

    /// Removes what tunnels left that ended ([`TunnelConfig::stays`]), under that name and others.
    ///
    /// # Errors
    ///
    /// [`TunnelError::Remove`]; [`TunnelError::InterfaceInUse`] if the name is somebody else's.
    pub fn remove_left(interface: &str) -> Result<(), TunnelError> {
        userspace::remove_left(interface)
    }

    /// MTU of the interface that a tunnel left under that name, bytes.
    pub fn left_mtu(interface: &str) -> Option<u16> {
        userspace::left_mtu(interface)
    }

    /// Ends the tunnel: its threads are joined, its interface is gone when this returns, unless it stays. Blocks for some
    /// milliseconds.
    pub fn shutdown(self) {
        drop(self);
    }
}

impl Managed for Interface {
    fn device(&self) -> &Device {
        &self.device
    }

    fn port(&self) -> u16 {
        self.backend.port()
    }

    fn mark(&self) -> u32 {
        self.backend.mark()
    }

    fn set(&self, changes: &Changes) -> Result<(), Errno> {
        if !self.device.is_configurable() {
            tracing::warn!("`wg set` refused: the mesh state decides what this interface is");
            return Err(Errno::EOPNOTSUPP);
        }
        let port = changes.listen_port.unwrap_or(self.backend.port());
        let mark = changes.firewall_mark.unwrap_or(self.backend.mark());
        self.backend.rebind(port, mark).map_err(|error| {
            tracing::error!(%error, "the port or the mark was not changed");
            error.errno().unwrap_or(Errno::EIO)
        })?;
        let mut out = DatagramBatch::default();
        let configured = self.device.configure(Instant::now(), changes, &mut out);
        self.backend.send(&out);
        configured.map_err(|_| Errno::EOPNOTSUPP)
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
