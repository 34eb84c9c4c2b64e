//! The userspace backend: an interface (TUN), UDP sockets, and one thread a direction around the device core.
//!
//! Threads: interface → network, network → interface (one a socket), timers. Each waits in `poll` for its own
//! descriptor and for the common stop signal; none holds a lock while it waits.

mod interface;
mod network_to_tun;
mod signal;
mod sockets;
mod timers;
mod tun_to_network;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use tun_rs::SyncDevice;

use crate::TunnelError;
use crate::device::DatagramBatch;
use crate::{Device, TunnelConfig};
pub(crate) use signal::{Signal, wait};
use sockets::Sockets;

/// A running backend. Stops when dropped.
pub(crate) struct Userspace {
    interface: String,
    tun: Arc<SyncDevice>,
    sockets: Arc<Sockets>,
    stop: Arc<Signal>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share.
#[derive(Clone)]
struct Shell {
    device: Arc<Device>,
    tun: Arc<SyncDevice>,
    sockets: Arc<Sockets>,
    stop: Arc<Signal>,
    /// Wakes the timer thread.
    wake: Arc<Signal>,
}

impl Userspace {
    /// Binds the sockets, makes the interface and starts the threads. The port comes first: an interface whose port
    /// is taken would swallow packets.
    pub(crate) fn start(config: &TunnelConfig, device: Arc<Device>) -> Result<Self, TunnelError> {
        let sockets = Arc::new(Sockets::bind(config.listen_port)?);
        let tun = Arc::new(interface::create(&config.interface, config.address, config.mtu)?);
        let stop = Arc::new(Signal::new().map_err(TunnelError::Thread)?);
        let wake = Arc::new(Signal::new().map_err(TunnelError::Thread)?);
        let shell = Shell { device, tun: tun.clone(), sockets: sockets.clone(), stop: stop.clone(), wake };
        let mut backend = Self { interface: config.interface.clone(), tun, sockets, stop, threads: Vec::new() };
        backend.spawn("wg-tun", &shell, tun_to_network::run)?;
        for family in shell.sockets.families() {
            backend.spawn("wg-udp", &shell, move |shell| network_to_tun::run(shell, family))?;
        }
        backend.spawn("wg-timers", &shell, timers::run)?;
        Ok(backend)
    }

    /// The port that the sockets are bound to.
    pub(crate) fn port(&self) -> u16 {
        self.sockets.port()
    }

    pub(crate) fn set_mtu(&self, mtu: u16) -> Result<(), TunnelError> {
        let failed = |source| TunnelError::SetMtu { interface: self.interface.clone(), mtu, source };
        self.tun.set_mtu(mtu).map_err(failed)?;
        self.sockets.renew();
        Ok(())
    }

    fn spawn(
        &mut self,
        name: &str,
        shell: &Shell,
        run: impl FnOnce(Shell) + Send + 'static,
    ) -> Result<(), TunnelError> {
        let shell = shell.clone();
        let thread = thread::Builder::new().name(name.to_owned()).spawn(move || run(shell));
        self.threads.push(thread.map_err(TunnelError::Thread)?);
        Ok(())
    }
}

impl Drop for Userspace {
    fn drop(&mut self) {
        self.stop.raise();
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!(interface = self.interface, "a thread of the tunnel had panicked");
            }
        }
    }
}

impl Shell {
    /// Sends a batch.
    fn send(&self, batch: &DatagramBatch) {
        let lost = |source| self.device.forget_source(source);
        self.sockets.send(batch, &self.device.live_counters().drops, &self.stop, lost);
    }

    /// Wakes the timer thread if something has become due earlier.
    fn wake_timers(&self) {
        if self.device.timeout_moved() {
            self.wake.raise();
        }
    }
}

/// Whether a call on a non-blocking descriptor would have waited.
fn would_block(error: &io::Error) -> bool {
    matches!(error.kind(), io::ErrorKind::WouldBlock | io::ErrorKind::Interrupted)
}
