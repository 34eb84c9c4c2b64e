//! The userspace backend: an interface (TUN), UDP sockets, and one thread a direction around the device core.
//!
//! Threads: interface → network, network → interface (one a socket), timers. Each waits in `poll` for its own
//! descriptor and for the common stop signal; none holds a lock while it waits. Other sockets are bound before the ones
//! in use are closed, with threads of their own.

mod interface;
mod network_to_tun;
mod signal;
mod sockets;
mod timers;
mod tun_to_network;

use std::io;
use std::sync::Arc;
use std::thread::{self, JoinHandle};

use arc_swap::ArcSwap;
use parking_lot::Mutex;
use tun_rs::SyncDevice;

use crate::TunnelError;
use crate::device::DatagramBatch;
use crate::{Device, TunnelConfig};
pub use interface::InterfaceSource;
pub(crate) use signal::{Signal, wait};
use sockets::Sockets;

/// A running backend. Stops when dropped.
pub(crate) struct Userspace {
    interface: String,
    shell: Shell,
    network: Mutex<Network>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads share.
#[derive(Clone)]
struct Shell {
    device: Arc<Device>,
    tun: Arc<SyncDevice>,
    sockets: Arc<ArcSwap<Sockets>>,
    stop: Arc<Signal>,
    /// Wakes the timer thread.
    wake: Arc<Signal>,
    /// Raised when somebody deleted the interface.
    gone: Arc<Signal>,
}

/// The threads of the sockets in use.
struct Network {
    stop: Arc<Signal>,
    threads: Vec<JoinHandle<()>>,
}

impl Userspace {
    /// Binds the sockets, makes the interface and starts the threads. The port comes first: an interface whose port
    /// is taken would swallow packets.
    pub(crate) fn start(config: &TunnelConfig, device: Arc<Device>) -> Result<Self, TunnelError> {
        let sockets = Sockets::bind(config.listen_port, None)?;
        let tun = interface::create(&config.interface, config.address, config.mtu)?;
        Self::with_parts(config.interface.clone(), tun, sockets, device)
    }

    /// The same for an interface without address, down, that `wg set` and `ip` configure. Its port is free to choose.
    pub(crate) fn start_configurable(source: &InterfaceSource, device: Arc<Device>) -> Result<Self, TunnelError> {
        let sockets = Sockets::bind(0, None)?;
        let tun = interface::bare(source)?;
        let name = tun.name().unwrap_or_else(|_| source.name().to_owned());
        Self::with_parts(name, tun, sockets, device)
    }

    fn with_parts(
        interface: String,
        tun: SyncDevice,
        sockets: Sockets,
        device: Arc<Device>,
    ) -> Result<Self, TunnelError> {
        let signal = || Signal::new().map(Arc::new).map_err(TunnelError::Thread);
        let shell = Shell {
            device,
            tun: Arc::new(tun),
            sockets: Arc::new(ArcSwap::from_pointee(sockets)),
            stop: signal()?,
            wake: signal()?,
            gone: signal()?,
        };
        let network = Mutex::new(Network { stop: signal()?, threads: Vec::new() });
        let mut backend = Self { interface, shell, network, threads: Vec::new() };
        let shell = backend.shell.clone();
        backend.threads.push(spawn("wg-tun", move || tun_to_network::run(shell))?);
        let shell = backend.shell.clone();
        backend.threads.push(spawn("wg-timers", move || timers::run(shell))?);
        backend.start_network(&mut backend.network.lock())?;
        Ok(backend)
    }

    /// The port that the sockets are bound to.
    pub(crate) fn port(&self) -> u16 {
        self.shell.sockets.load().port()
    }

    /// Mark of the datagrams sent; 0 for none.
    pub(crate) fn mark(&self) -> u32 {
        self.shell.sockets.load().mark()
    }

    /// Name that the interface was made with.
    pub(crate) fn interface(&self) -> &str {
        &self.interface
    }

    /// Raised when somebody deleted the interface.
    pub(crate) fn gone(&self) -> &Signal {
        &self.shell.gone
    }

    pub(crate) fn set_mtu(&self, mtu: u16) -> Result<(), TunnelError> {
        let failed = |source| TunnelError::SetMtu { interface: self.interface.clone(), mtu, source };
        self.shell.tun.set_mtu(mtu).map_err(failed)?;
        self.shell.sockets.load().renew();
        Ok(())
    }

    /// Takes over what somebody else set as the interface's MTU. One that was moved to another namespace keeps what it
    /// had.
    pub(crate) fn follow_mtu(&self) {
        if let Ok(mtu) = self.shell.tun.mtu() {
            self.shell.device.set_mtu(mtu);
        }
    }

    /// Listens on another port, or marks datagrams otherwise.
    ///
    /// # Errors
    ///
    /// [`TunnelError`]; the sockets in use stay.
    pub(crate) fn rebind(&self, port: u16, mark: u32) -> Result<(), TunnelError> {
        let mut network = self.network.lock();
        let before = self.shell.sockets.load_full();
        if port == before.port() {
            return before.set_mark(mark);
        }
        self.shell.sockets.store(Arc::new(Sockets::bind(port, Some(mark))?));
        network.end();
        network.stop = Arc::new(Signal::new().map_err(TunnelError::Thread)?);
        self.start_network(&mut network)
    }

    /// Sends a batch, and wakes the timers that it moved.
    pub(crate) fn send(&self, batch: &DatagramBatch) {
        self.shell.send(batch);
        self.shell.wake_timers();
    }

    fn start_network(&self, network: &mut Network) -> Result<(), TunnelError> {
        let sockets = self.shell.sockets.load_full();
        for family in sockets.families() {
            let (shell, sockets, stop) = (self.shell.clone(), sockets.clone(), network.stop.clone());
            let run = move || network_to_tun::run(&shell, &sockets, family, &stop);
            network.threads.push(spawn("wg-udp", run)?);
        }
        Ok(())
    }
}

fn spawn(name: &str, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, TunnelError> {
    thread::Builder::new().name(name.to_owned()).spawn(run).map_err(TunnelError::Thread)
}

impl Network {
    fn end(&mut self) {
        self.stop.raise();
        join(&mut self.threads);
    }
}

impl Drop for Userspace {
    fn drop(&mut self) {
        self.shell.stop.raise();
        self.network.lock().end();
        join(&mut self.threads);
    }
}

fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        if thread.join().is_err() {
            tracing::error!("a thread of the tunnel had panicked");
        }
    }
}

impl Shell {
    /// Sends a batch.
    fn send(&self, batch: &DatagramBatch) {
        if !batch.is_empty() {
            let lost = |source| self.device.forget_source(source);
            self.sockets.load().send(batch, &self.device.live_counters().drops, &self.stop, lost);
        }
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
