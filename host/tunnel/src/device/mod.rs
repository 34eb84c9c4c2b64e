//! The device: decides what becomes of each packet, datagram, time-out and table. No socket, no clock.
//!
//! The peer table *is* the allowed-IPs map: `address → record` for every known peer, swapped in one step. A
//! [`session`](self) exists only for a peer in use. Each input takes the time and writes what is to be sent into a
//! batch that the caller owns. Packets are sealed in the send buffer and opened in the receive buffer, outside all locks:
//!
//! | input | method | file |
//! |---|---|---|
//! | packets from the interface | [`Device::handle_packets`] | `outbound.rs` |
//! | datagrams from the network | [`Device::handle_datagrams`] | `inbound.rs` |
//! | messages of handshakes among them | [`Device::handle_handshake`] | `handshakes.rs` |
//! | a time-out | [`Device::handle_timeout`] | `timeout.rs` |
//! | a table | [`Device::apply`] | `apply.rs` |
//!
//! Locks are taken in this order, each for one decision: the session table, one session, the times of handshakes, the due
//! queue, the subscribers, what is to be written. Packets of different peers do not wait for each other. Those of the
//! journals alone are held while a disk is waited for ([`Device::write_journals`]); whoever answers handshakes does not take
//! them.

mod apply;
mod batch;
pub mod changes;
mod configure;
mod configured_peers;
mod due_queue;
mod endpoint;
mod events;
mod handshake_journal;
mod handshake_times;
mod handshakes;
mod inbound;
mod journal;
mod outbound;
mod own;
pub(crate) mod packets;
mod peer;
mod peers;
mod resumed;
mod session;
mod session_table;
mod session_timers;
mod status;
mod timeout;

use std::net::IpAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed};
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use servos_mesh::{MeshAddress, PeerTable, PublicKey};
use tokio::sync::mpsc::UnboundedReceiver;

pub use apply::Applied;
pub use batch::{DatagramBatch, Run};
pub use configure::NotConfigurable;
pub use configured_peers::ConfiguredPeer;
pub use endpoint::Endpoint;
pub use events::TunnelEvent;
pub use handshakes::HandshakeMessage;
pub use inbound::Arrived;
pub use own::OwnKeys;
pub use packets::Packets;
pub use peer::PeerId;
pub use status::SessionStatus;

use crate::counters::Counters;
use crate::limits::{EVICTION_SAMPLE, IN_USE, Limits};
use crate::noise::Tai64n;
use crate::{PrivateKey, TunnelCounters};
use due_queue::DueQueue;
use events::Subscribers;
use handshake_times::{HandshakeTimes, Record};
use journal::Journal;
use own::Own;
use peers::Peers;
use resumed::{Agreed, Unwritten};
use session::{Session, SessionCell};
use session_table::SessionTable;

/// Longer than any machine runs.
const FOR_EVER: Duration = Duration::from_secs(1 << 32);

/// One WireGuard interface, without its sockets. Shared by the threads that move its bytes.
pub struct Device {
    peers: Peers,
    sessions: RwLock<SessionTable>,
    due: Mutex<DueQueue>,
    handshakes: Mutex<HandshakeTimes>,
    /// Where their times are kept, if they are.
    handshake_journal: Mutex<Option<Journal<Record>>>,
    /// Where it is kept with whom there are sessions, if it is.
    session_journal: Mutex<Option<Journal<Agreed>>>,
    common: Common,
}

/// What every session needs of its device.
struct Common {
    own: ArcSwap<Own>,
    limits: Limits,
    mtu: AtomicU16,
    /// Packets that wait for handshakes, in all sessions.
    held: AtomicUsize,
    counters: Counters,
    subscribers: Subscribers,
    agreed: Unwritten,
    /// Ties the monotonic clock to the wall's, for `last_handshake`.
    started: (Instant, SystemTime),
}

impl Common {
    fn mtu(&self) -> usize {
        self.mtu.load(Relaxed).into()
    }

    /// The present, as handshakes carry it (<https://cr.yp.to/libtai/tai64.html>). Never goes back while the device
    /// lives, whatever the wall's clock does.
    fn tai64n(&self, now: Instant) -> Tai64n {
        let (instant, system) = self.started;
        let time =
            (system + now.saturating_duration_since(instant)).duration_since(UNIX_EPOCH).unwrap_or(Duration::ZERO);
        let mut tai = [0; 12];
        tai[..8].copy_from_slice(&(handshake_times::TAI64_EPOCH + time.as_secs()).to_be_bytes());
        tai[8..].copy_from_slice(&time.subsec_nanos().to_be_bytes());
        tai
    }
}

impl Device {
    /// Makes a device of a mesh, without sessions. `started` is the present on both clocks; `mtu` is the interface's.
    pub fn new(
        key: PrivateKey,
        address: MeshAddress,
        mtu: u16,
        limits: Limits,
        table: Arc<PeerTable>,
        started: (Instant, SystemTime),
    ) -> Self {
        Self::with_peers(Some(key), Peers::mesh(table, address), mtu, limits, started)
    }

    /// Makes a device without key and peers, which [`Device::configure`] gives it. Its sessions do not end for want of
    /// use: they carry the counters that `wg show` prints.
    pub fn configurable(mtu: u16, limits: Limits, started: (Instant, SystemTime)) -> Self {
        let limits = Limits { session_idle: FOR_EVER, ..limits };
        Self::with_peers(None, Peers::Configured(Box::default()), mtu, limits, started)
    }

    fn with_peers(
        key: Option<PrivateKey>,
        peers: Peers,
        mtu: u16,
        limits: Limits,
        started: (Instant, SystemTime),
    ) -> Self {
        let own = Own::new(started.0, key, limits.handshakes_a_second);
        Self {
            peers,
            sessions: RwLock::default(),
            due: Mutex::default(),
            handshakes: Mutex::default(),
            handshake_journal: Mutex::default(),
            session_journal: Mutex::default(),
            common: Common {
                own: ArcSwap::from_pointee(own),
                limits,
                mtu: AtomicU16::new(mtu),
                held: AtomicUsize::new(0),
                counters: Counters::default(),
                subscribers: Subscribers::default(),
                agreed: Unwritten::default(),
                started,
            },
        }
    }

    /// The interface's MTU from here on, bytes: padding stays within it.
    pub fn set_mtu(&self, mtu: u16) {
        self.common.mtu.store(mtu, Relaxed);
    }

    /// The interface's MTU, bytes.
    pub fn mtu(&self) -> u16 {
        self.common.mtu.load(Relaxed)
    }

    /// The device's key, once it has one; of two, the one that it uses itself.
    pub fn private_key(&self) -> Option<PrivateKey> {
        self.common.own.load().present().cloned()
    }

    /// When [`Device::handle_timeout`] wants to be called; `None` while nothing is timed.
    pub fn poll_timeout(&self) -> Option<Instant> {
        self.due.lock().earliest()
    }

    /// Whether [`Device::poll_timeout`] has become earlier since this was asked last: whoever sleeps on it must wake.
    pub fn timeout_moved(&self) -> bool {
        self.due.lock().take_moved()
    }

    /// The sessions at this moment. Makes none.
    pub fn sessions(&self) -> Vec<SessionStatus> {
        let cells = self.sessions.read().all();
        cells.iter().filter_map(|cell| cell.lock().status(&self.common)).collect()
    }

    /// What was counted since the device was made.
    pub fn counters(&self) -> TunnelCounters {
        let sessions = self.sessions.read().len() as u64;
        self.common.counters.read(sessions, self.common.held.load(Relaxed) as u64)
    }

    /// Events from here on, after one [`TunnelEvent::SessionMade`] for each session there is.
    pub fn events(&self) -> UnboundedReceiver<TunnelEvent> {
        let sessions = self.sessions.read();
        self.common.subscribers.add(sessions.peers().filter_map(PeerId::mesh_address))
    }

    /// Whether [`Device::write_journals`] has something to write.
    pub(crate) fn has_unwritten(&self) -> bool {
        self.handshakes.lock().has_unwritten() || self.has_unwritten_sessions()
    }

    /// Writes what became known of handshakes and sessions since this was called last to the files that keep it. May wait
    /// for the disk; nobody waits for it. `now` is the present on both clocks.
    pub fn write_journals(&self, now: (Instant, SystemTime)) {
        self.write_handshakes();
        self.write_sessions(now);
    }

    /// The live counters, for what only the shell sees.
    pub(crate) fn live_counters(&self) -> &Counters {
        &self.common.counters
    }

    /// Forgets an address of ours that the kernel does not send from any more: routes choose again.
    pub fn forget_source(&self, source: IpAddr) {
        for cell in self.sessions.read().all() {
            cell.lock().forget_source(source);
        }
    }

    /// Finds the session of a peer, or makes one. What stands in the way is counted, for as many packets.
    fn session_to(&self, now: Instant, id: PeerId, packets: u64) -> Option<SessionCell> {
        if let Some(cell) = self.sessions.read().by_peer(id) {
            return Some(cell);
        }
        let drops = &self.common.counters.drops;
        let Some(peer) = self.peers.peer(id) else {
            drops.unknown_address.add(packets);
            return None;
        };
        if peer.endpoint.is_none() {
            drops.no_endpoint.add(packets);
            return None;
        }
        self.make_session(now, id, &peer.public_key)
    }

    /// Makes the session of a peer unless it is there. `None` if the peer has left meanwhile, or there are too many that
    /// are in use.
    fn make_session(&self, now: Instant, id: PeerId, key: &PublicKey) -> Option<SessionCell> {
        let mut sessions = self.sessions.write();
        if let Some(cell) = sessions.by_peer(id) {
            return Some(cell);
        }
        // Under the lock, since `apply` swaps the table before it takes it: no session outlives its peer.
        let Some(peer) = self.peers.peer(id).filter(|peer| peer.public_key == *key) else {
            self.common.counters.drops.unknown_address.one();
            return None;
        };
        if sessions.len() >= self.common.limits.sessions && !self.evict(now, &mut sessions) {
            self.common.counters.drops.session_limit.one();
            return None;
        }
        let cell = sessions.insert(id, |slot| Session::new(&self.common, now, slot, &peer))?;
        self.common.counters.sessions_made.one();
        self.tell(id, TunnelEvent::SessionMade);
        self.reschedule(&mut cell.lock());
        Some(cell)
    }

    /// Makes room for a session: of some that are looked at, the one that was used least lately goes, unless it was used
    /// within [`IN_USE`].
    fn evict(&self, now: Instant, sessions: &mut SessionTable) -> bool {
        let candidates = sessions.sample(EVICTION_SAMPLE);
        let used = |cell: &SessionCell| cell.lock().last_used();
        let Some((used, cell)) = candidates.into_iter().map(|cell| (used(&cell), cell)).min_by_key(|(used, _)| *used)
        else {
            return false;
        };
        if now.saturating_duration_since(used) < IN_USE {
            return false;
        }
        self.common.counters.sessions_evicted.one();
        self.take_out(sessions, &mut cell.lock());
        true
    }

    /// Takes a session out if `condition` still holds under the locks.
    fn remove_session(&self, cell: &SessionCell, condition: impl FnOnce(&Session) -> bool) -> bool {
        let mut sessions = self.sessions.write();
        let mut session = cell.lock();
        if session.is_gone() || !condition(&session) {
            return false;
        }
        self.take_out(&mut sessions, &mut session);
        true
    }

    fn take_out(&self, sessions: &mut SessionTable, session: &mut Session) {
        sessions.remove(session.slot(), session.peer());
        session.end(&self.common);
        self.tell(session.peer(), TunnelEvent::SessionGone);
    }

    fn tell(&self, peer: PeerId, event: impl FnOnce(MeshAddress) -> TunnelEvent) {
        if let Some(address) = peer.mesh_address() {
            self.common.subscribers.send(event(address));
        }
    }

    /// Puts a session into the due queue if something of it has become due earlier than it stands there.
    fn reschedule(&self, session: &mut Session) {
        if let Some(due) = session.take_earlier_due() {
            self.due.lock().push(due, session.slot());
        }
    }
}
