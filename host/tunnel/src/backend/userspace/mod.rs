//! The userspace backend: an interface (TUN), UDP sockets, and threads around the device core.
//!
//! A lane is a queue of the interface, a socket of each family on the common port, and a thread for each: interface →
//! network, network → interface. One lane fills a core each way. With more, the kernel parts the work by flow: what
//! leaves, by the hash of the inner flow, which follows the queue that the flow's answers were written to; what arrives,
//! by the hash of the outer one (SO_REUSEPORT), which is a peer's as long as it does not roam. So a flow stays on its
//! lane, in order, once its answers have chosen the lane. Two threads more, for all lanes: one computes handshakes, one
//! looks after the timers.
//!
//! What leaves waits flow by flow to be sealed (`backlog.rs`), so that a stream does not keep others waiting.
//!
//! Each thread waits in `poll` for its own descriptor and for the common stop signal; none holds a lock while it waits.
//! Other sockets are bound before the ones in use are closed, with threads of their own.

mod backlog;
mod codel;
mod handshakes;
mod interface;
mod left;
mod netlink;
mod network_to_tun;
mod queue;
mod segments;
mod signal;
mod sockets;
mod timers;
mod tun_to_network;
mod unreachable;

use std::io;
use std::num::NonZeroUsize;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::Mutex;

use crate::TunnelError;
use crate::device::{DatagramBatch, HandshakeMessage};
use crate::limits::{HANDSHAKE_BACKLOG, PACKETS_NICENESS};
use crate::{Device, TunnelConfig};
use interface::Interface;
pub use interface::InterfaceSource;
use left::Present;
use queue::Queue;
pub(crate) use signal::{Signal, wait};
use sockets::Sockets;

/// A running backend. Stops when dropped.
pub(crate) struct Userspace {
    interface: Interface,
    lanes: Vec<Lane>,
    network: Mutex<Network>,
    threads: Vec<JoinHandle<()>>,
}

/// What the threads of a lane share.
#[derive(Clone)]
struct Lane {
    /// Which, from 0.
    number: usize,
    queue: Queue,
    device: Arc<Device>,
    sockets: Arc<ArcSwap<Sockets>>,
    stop: Arc<Signal>,
    /// Wakes the thread of the timers.
    wake: Arc<Signal>,
    /// Raised when somebody deleted the interface.
    gone: Arc<Signal>,
    /// Whether the kernel was told how many segments to leave together.
    is_limited: Arc<AtomicBool>,
}

/// The threads of the sockets in use. They end when it is dropped.
struct Network {
    stop: Arc<Signal>,
    /// Where they hand messages of handshakes to. None at the end, which ends the thread behind it.
    backlog: Option<SyncSender<HandshakeMessage>>,
    threads: Vec<JoinHandle<()>>,
}

impl Userspace {
    /// Binds the sockets, makes the interface and starts the threads. The port comes first: an interface whose port
    /// is taken would swallow packets.
    pub(crate) fn start(config: &TunnelConfig, device: Arc<Device>) -> Result<Self, TunnelError> {
        let sockets = Sockets::bind(config.listen_port, None, config.lanes.get())?;
        if config.stays {
            remove_others(&config.interface);
        }
        let interface = Interface::create(&config.interface, config.address, config.mtu, config.lanes.get())?;
        Self::with_parts(interface, sockets, device)
    }

    /// The same for an interface without address, down, that `wg set` and `ip` configure. Its port is free to choose.
    pub(crate) fn start_configurable(
        source: &InterfaceSource,
        lanes: NonZeroUsize,
        device: Arc<Device>,
    ) -> Result<Self, TunnelError> {
        let interface = Interface::bare(source, lanes.get())?;
        let sockets = Sockets::bind(0, None, interface.queues().len())?;
        Self::with_parts(interface, sockets, device)
    }

    fn with_parts(interface: Interface, sockets: Sockets, device: Arc<Device>) -> Result<Self, TunnelError> {
        let signal = || Signal::new().map(Arc::new).map_err(TunnelError::Thread);
        let (sockets, [stop, wake, gone]) =
            (Arc::new(ArcSwap::from_pointee(sockets)), [signal()?, signal()?, signal()?]);
        let lane = |(number, queue): (usize, &Queue)| Lane {
            number,
            queue: queue.clone(),
            device: device.clone(),
            sockets: sockets.clone(),
            stop: stop.clone(),
            wake: wake.clone(),
            gone: gone.clone(),
            is_limited: interface.is_limited().clone(),
        };
        let lanes: Vec<Lane> = interface.queues().iter().enumerate().map(lane).collect();
        let (backlog, handshakes) = sync_channel(HANDSHAKE_BACKLOG);
        let network = Mutex::new(Network::start(&lanes, &sockets.load_full(), backlog)?);
        let mut backend = Self { interface, lanes, network, threads: Vec::new() };
        for lane in &backend.lanes {
            let lane = lane.clone();
            backend.threads.push(spawn(format!("wg-tun-{}", lane.number), move || tun_to_network::run(&lane))?);
        }
        let lane = backend.first().clone();
        backend.threads.push(spawn("wg-timers".to_owned(), move || timers::run(&lane))?);
        let lane = backend.first().clone();
        backend.threads.push(spawn("wg-handshakes".to_owned(), move || handshakes::run(&lane, &handshakes))?);
        Ok(backend)
    }

    /// The lane of what belongs to none.
    fn first(&self) -> &Lane {
        // An interface has a queue at least.
        &self.lanes[0]
    }

    /// The port that the sockets are bound to.
    pub(crate) fn port(&self) -> u16 {
        self.first().sockets.load().port()
    }

    /// Mark of the datagrams sent; 0 for none.
    pub(crate) fn mark(&self) -> u32 {
        self.first().sockets.load().mark()
    }

    /// Name that the interface was made with.
    pub(crate) fn interface(&self) -> &str {
        self.interface.name()
    }

    /// Raised when somebody deleted the interface.
    pub(crate) fn gone(&self) -> &Signal {
        &self.first().gone
    }

    /// Whether the interface stays when the backend ends, however it ends.
    pub(crate) fn set_stays(&self, stays: bool) -> io::Result<()> {
        self.interface.set_stays(stays)
    }

    pub(crate) fn set_mtu(&self, mtu: u16) -> Result<(), TunnelError> {
        let failed = |source| TunnelError::SetMtu { interface: self.interface.name().to_owned(), mtu, source };
        self.interface.set_mtu(mtu).map_err(failed)?;
        self.first().sockets.load().renew();
        Ok(())
    }

    /// Listens on another port, or marks datagrams otherwise.
    ///
    /// # Errors
    ///
    /// [`TunnelError`]; the sockets in use stay.
    pub(crate) fn rebind(&self, port: u16, mark: u32) -> Result<(), TunnelError> {
        let mut network = self.network.lock();
        let before = self.first().sockets.load_full();
        if port == before.port() {
            return before.set_mark(mark);
        }
        let Some(backlog) = network.backlog.clone() else { return Ok(()) };
        let sockets = Arc::new(Sockets::bind(port, Some(mark), self.lanes.len())?);
        // All of it is there before any of what is in use goes.
        let next = Network::start(&self.lanes, &sockets, backlog)?;
        self.first().sockets.store(sockets);
        *network = next;
        Ok(())
    }

    /// Sends a batch, and wakes the timers that it moved.
    pub(crate) fn send(&self, batch: &DatagramBatch) {
        self.first().send(batch);
        self.first().wake_timers();
    }
}

/// Removes what a tunnel left under another name, before the settings changed.
fn remove_others(interface: &str) {
    match left::remove_others(interface) {
        Ok(removed) => removed.iter().for_each(|other| tracing::info!(interface = other, "removed what a tunnel left")),
        Err(error) => tracing::debug!(%error, "the interfaces cannot be listed"),
    }
}

/// Removes what tunnels left that ended, under this name and others.
pub(crate) fn remove_left(interface: &str) -> Result<(), TunnelError> {
    remove_others(interface);
    let failed = |source| TunnelError::Remove { interface: interface.to_owned(), source };
    match left::present(interface).map_err(failed)? {
        Present::Nothing => {}
        Present::Left(_) => left::remove(interface).map_err(failed)?,
        Present::Others => return Err(TunnelError::InterfaceInUse { interface: interface.to_owned() }),
    }
    unreachable::remove().map_err(failed)
}

/// MTU of the interface that a tunnel left, bytes.
pub(crate) fn left_mtu(interface: &str) -> Option<u16> {
    let is_left = matches!(left::present(interface), Ok(Present::Left(_)));
    is_left.then(|| queue::mtu_of(interface).ok()).flatten()
}

/// Lets the calling thread go before the programs that use the tunnel: what they do not keep up with waits in their own
/// sockets, and not in ours, before packets of others.
fn go_first() {
    // Refused without privilege: then it is as any other.
    if let Err(error) = rustix::process::setpriority_process(Some(rustix::thread::gettid()), PACKETS_NICENESS) {
        tracing::debug!(%error, "packets do not go before programs");
    }
    // Pauses are of microseconds; by default the kernel makes them 50 longer.
    let _ = nix::sys::prctl::set_timerslack(1);
}

fn spawn(name: String, run: impl FnOnce() + Send + 'static) -> Result<JoinHandle<()>, TunnelError> {
    thread::Builder::new().name(name).spawn(run).map_err(TunnelError::Thread)
}

impl Network {
    /// Starts the threads of these sockets.
    fn start(
        lanes: &[Lane],
        sockets: &Arc<Sockets>,
        backlog: SyncSender<HandshakeMessage>,
    ) -> Result<Self, TunnelError> {
        let stop = Arc::new(Signal::new().map_err(TunnelError::Thread)?);
        let mut network = Self { stop, backlog: Some(backlog.clone()), threads: Vec::new() };
        for (lane, family) in lanes.iter().flat_map(|lane| sockets.families().map(move |family| (lane, family))) {
            let (lane, sockets, stop) = (lane.clone(), sockets.clone(), network.stop.clone());
            let (name, backlog) = (format!("wg-udp-{}", lane.number), backlog.clone());
            let run = move || network_to_tun::run(&lane, &sockets, family, &backlog, &stop);
            network.threads.push(spawn(name, run)?);
        }
        Ok(network)
    }

    fn end(&mut self) {
        self.stop.raise();
        join(&mut self.threads);
    }
}

impl Drop for Network {
    fn drop(&mut self) {
        self.end();
    }
}

impl Drop for Userspace {
    fn drop(&mut self) {
        self.first().stop.raise();
        let mut network = self.network.lock();
        network.end();
        network.backlog = None;
        join(&mut self.threads);
        // Of those that were answered last.
        self.lanes[0].device.write_journals((Instant::now(), SystemTime::now()));
    }
}

fn join(threads: &mut Vec<JoinHandle<()>>) {
    for thread in threads.drain(..) {
        if thread.join().is_err() {
            tracing::error!("a thread of the tunnel had panicked");
        }
    }
}

impl Lane {
    /// Sends a batch.
    fn send(&self, batch: &DatagramBatch) {
        if !batch.is_empty() {
            self.send_some(batch, false);
        }
    }

    /// Sends of a batch what more could not join; the rest stays in it.
    fn send_full_runs(&self, batch: &mut DatagramBatch) {
        let sent = self.send_some(batch, true);
        batch.forget(sent);
    }

    fn send_some(&self, batch: &DatagramBatch, more: bool) -> usize {
        let lost = |source| self.device.forget_source(source);
        self.sockets.load().send(self.number, batch, more, &self.device.live_counters().drops, &self.stop, lost)
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
