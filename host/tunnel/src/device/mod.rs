//! The device: decides what becomes of each packet, datagram, time-out and table. No socket, no clock.
//!
//! The peer table *is* the allowed-IPs map: `address → record` for every known peer, swapped in one step. A
//! [`session`](self) exists only for a peer in use. Each input takes the time and writes what is to be sent into a
//! batch that the caller owns, so that sealing goes straight into the send buffer:
//!
//! | input | method | file |
//! |---|---|---|
//! | a packet from the interface | [`Device::handle_packet`] | `outbound.rs` |
//! | a datagram from the network | [`Device::handle_datagram`] | `inbound.rs` |
//! | a time-out | [`Device::handle_timeout`] | `timeout.rs` |
//! | a table | [`Device::apply`] | `apply.rs` |
//!
//! Locks are taken in this order, each for one decision: the session table, one session, the due queue, the
//! subscribers. Packets of different peers do not wait for each other.

mod apply;
mod batch;
mod due_queue;
mod events;
mod inbound;
mod kept_timestamps;
mod outbound;
mod session;
mod session_table;
mod session_timers;
mod status;
mod timeout;

use std::sync::Arc;
use std::sync::atomic::{AtomicU16, AtomicUsize, Ordering::Relaxed};
use std::time::{Instant, SystemTime};

use arc_swap::ArcSwap;
use parking_lot::{Mutex, RwLock};
use servos_mesh::{MeshAddress, PeerTable, PublicKey};
use tokio::sync::mpsc::UnboundedReceiver;

pub use apply::Applied;
pub use batch::{DatagramBatch, PacketBatch, Run};
pub use events::TunnelEvent;
pub use status::SessionStatus;

use crate::counters::Counters;
use crate::limits::Limits;
use crate::noise::Guard;
use crate::{PrivateKey, TunnelCounters};
use due_queue::DueQueue;
use events::Subscribers;
use kept_timestamps::KeptTimestamps;
use session::{Session, SessionCell};
use session_table::SessionTable;

/// One WireGuard interface of the mesh, without its sockets. Shared by the threads that move its bytes.
pub struct Device {
    table: ArcSwap<PeerTable>,
    sessions: RwLock<SessionTable>,
    due: Mutex<DueQueue>,
    kept: Mutex<KeptTimestamps>,
    common: Common,
}

/// What every session needs of its device.
struct Common {
    key: PrivateKey,
    address: MeshAddress,
    limits: Limits,
    guard: Guard,
    mtu: AtomicU16,
    /// Packets that wait for handshakes, in all sessions.
    held: AtomicUsize,
    counters: Counters,
    subscribers: Subscribers,
    /// Ties the monotonic clock to the wall's, for `last_handshake`.
    started: (Instant, SystemTime),
}

impl Device {
    /// Makes a device without sessions. `started` is the present on both clocks; `mtu` is the interface's.
    pub fn new(
        key: PrivateKey,
        address: MeshAddress,
        mtu: u16,
        limits: Limits,
        table: Arc<PeerTable>,
        started: (Instant, SystemTime),
    ) -> Self {
        Self {
            table: ArcSwap::new(table),
            sessions: RwLock::default(),
            due: Mutex::default(),
            kept: Mutex::default(),
            common: Common {
                guard: Guard::new(&key, limits.handshakes_a_second),
                key,
                address,
                limits,
                mtu: AtomicU16::new(mtu),
                held: AtomicUsize::new(0),
                counters: Counters::default(),
                subscribers: Subscribers::default(),
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

    /// This server's address in the mesh.
    pub fn address(&self) -> MeshAddress {
        self.common.address
    }

    /// This server's key.
    pub fn private_key(&self) -> &PrivateKey {
        &self.common.key
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
        self.common.subscribers.add(sessions.addresses())
    }

    /// The live counters, for what only the shell sees.
    pub(crate) fn live_counters(&self) -> &Counters {
        &self.common.counters
    }

    /// Finds the session of an address, or makes one if it is a peer's. What stands in the way is counted.
    fn session_to(&self, now: Instant, address: MeshAddress) -> Option<SessionCell> {
        if let Some(cell) = self.sessions.read().by_address(address) {
            return Some(cell);
        }
        let drops = &self.common.counters.drops;
        let table = self.table.load_full();
        let Some(record) = table.peer_by_address(address) else {
            drops.unknown_address.one();
            return None;
        };
        if record.endpoint().is_none() {
            drops.no_endpoint.one();
            return None;
        }
        self.make_session(now, address, record.public_key())
    }

    /// Makes the session of a peer unless it is there. `None` if the peer has left meanwhile, or there are too many.
    fn make_session(&self, now: Instant, address: MeshAddress, key: &PublicKey) -> Option<SessionCell> {
        let mut sessions = self.sessions.write();
        if let Some(cell) = sessions.by_address(address) {
            return Some(cell);
        }
        // Under the lock, since `apply` swaps the table before it takes it: no session outlives its peer.
        let table = self.table.load();
        let Some(record) = table.peer_by_address(address).filter(|record| record.public_key() == key) else {
            self.common.counters.drops.unknown_address.one();
            return None;
        };
        if sessions.len() >= self.common.limits.sessions {
            self.common.counters.drops.session_limit.one();
            return None;
        }
        let cell = sessions.insert(address, |slot| Session::new(&self.common, now, slot, record))?;
        self.common.counters.sessions_made.one();
        self.common.subscribers.send(TunnelEvent::SessionMade(address));
        self.reschedule(&mut cell.lock());
        Some(cell)
    }

    /// Takes a session out if `condition` still holds under the locks.
    fn remove_session(&self, cell: &SessionCell, condition: impl FnOnce(&Session) -> bool) -> bool {
        let mut sessions = self.sessions.write();
        let mut session = cell.lock();
        if session.is_gone() || !condition(&session) {
            return false;
        }
        sessions.remove(session.slot(), session.address());
        session.end(&self.common);
        if let Some((key, timestamp)) = session.timestamp_to_keep() {
            self.kept.lock().keep(&key, timestamp);
        }
        self.common.subscribers.send(TunnelEvent::SessionGone(session.address()));
        true
    }

    /// Puts a session into the due queue if something of it has become due earlier than it stands there.
    fn reschedule(&self, session: &mut Session) {
        if let Some(due) = session.take_earlier_due() {
            self.due.lock().push(due, session.slot());
        }
    }
}
