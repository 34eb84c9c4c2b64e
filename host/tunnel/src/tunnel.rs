//! The tunnel as the agent holds it: the device core, its backend, and the socket that `wg` asks.

use std::fmt;
use std::sync::Arc;
use std::time::{Instant, SystemTime};

use servos_mesh::PeerTable;
use tokio::sync::mpsc::UnboundedReceiver;

use crate::backend::userspace::Userspace;
use crate::limits::{Limits, MAX_MTU, MIN_MTU};
use crate::uapi::UapiServer;
use crate::{Applied, Device, SessionStatus, TunnelConfig, TunnelCounters, TunnelError, TunnelEvent};

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
