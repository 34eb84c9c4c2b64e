//! What the tunnel counts: packets and bytes each way, drops by reason, handshakes.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use serde::Serialize;

/// A counter that many threads add to.
#[derive(Debug, Default)]
pub(crate) struct Counter(AtomicU64);

impl Counter {
    pub(crate) fn add(&self, count: u64) {
        self.0.fetch_add(count, Relaxed);
    }

    pub(crate) fn one(&self) {
        self.add(1);
    }

    pub(crate) fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

macro_rules! counters {
    ($(#[$doc:meta])* $public:ident, $live:ident { $($(#[$field_doc:meta])* $field:ident,)* }) => {
        $(#[$doc])*
        #[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
        pub struct $public {
            $($(#[$field_doc])* pub $field: u64,)*
        }

        #[derive(Debug, Default)]
        pub(crate) struct $live {
            $(pub(crate) $field: Counter,)*
        }

        impl $live {
            pub(crate) fn read(&self) -> $public {
                $public { $($field: self.$field.get(),)* }
            }
        }
    };
}

counters! {
    /// Packets and datagrams that went nowhere, by reason.
    DropCounters, LiveDrops {
        /// From the interface: no IP packet, or cut short.
        no_ip,
        /// From the interface: of the flow that had most to send, while more waited than can be sealed in time.
        backlog_full,
        /// From the interface: of a flow whose packets waited too long to be sealed, for a while.
        waited_too_long,
        /// From the interface: to an address outside the mesh's 100.64.0.0/10.
        outside_mesh,
        /// From the interface: to an address of the mesh that is nobody's.
        unknown_address,
        /// From the interface: to a peer whose endpoint nobody knows.
        no_endpoint,
        /// Too many sessions.
        session_limit,
        /// Held for a handshake, and too many were.
        held_overflow,
        /// Held for a handshake that never completed, or for a peer that left.
        held_expired,
        /// Datagrams that are no WireGuard message, or come from port 0.
        malformed,
        /// Handshakes whose first MAC is wrong.
        invalid_mac,
        /// Handshakes that do not authenticate.
        invalid_handshake,
        /// Initiations beyond what one source, or all, may ask for.
        too_many_handshakes,
        /// Initiations of a key that is not in the mesh.
        unknown_key,
        /// Initiations not newer than the last one of their peer.
        replayed_initiation,
        /// Messages to a receiver index that is no session's.
        unknown_receiver,
        /// Transport messages of a keypair that is too old, or was never agreed.
        no_keypair,
        /// Transport messages that do not authenticate, or were seen before.
        invalid_transport,
        /// Messages that hold no IP packet, or a cut one.
        no_ip_inside,
        /// Packets that claim another source than their peer's address.
        spoofed_source,
        /// Packets to another address than this server's.
        foreign_destination,
        /// Datagrams longer than the way allows.
        too_long_for_way,
        /// Datagrams that the kernel refused for another reason.
        send_failed,
        /// Reads from the interface that failed.
        tun_read_failed,
        /// Batches that the interface did not take whole.
        tun_write_failed,
    }
}

/// What the tunnel counted since it was started.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct TunnelCounters {
    /// Packets that were sealed and sent to peers.
    pub tx_packets: u64,
    /// Bytes of these packets, before sealing.
    pub tx_bytes: u64,
    /// Packets of peers that were handed to the interface.
    pub rx_packets: u64,
    /// Bytes of these packets, after opening.
    pub rx_bytes: u64,
    /// Initiations sent, retries included.
    pub initiations_sent: u64,
    /// Initiations answered.
    pub initiations_answered: u64,
    /// Handshakes completed, on either side.
    pub handshakes: u64,
    /// Cookies sent because of too many handshakes.
    pub cookies_sent: u64,
    /// Empty packets sent to keep a session alive.
    pub keepalives_sent: u64,
    /// Sessions made since the start.
    pub sessions_made: u64,
    /// Sessions that gave way to another before they were idle for long.
    pub sessions_evicted: u64,
    /// Sessions at this moment.
    pub sessions: u64,
    /// Packets that wait for a handshake at this moment.
    pub held_packets: u64,
    /// Packets that ever waited for a handshake.
    pub held_total: u64,
    /// Timers that were looked at.
    pub timers_fired: u64,
    /// Sessions that were looked at because of a change of the mesh.
    pub sessions_visited: u64,
    /// Packets, whole as the kernel left them, that were marked as having met congestion in place of a drop.
    pub congestion_marked: u64,
    /// Reads from the interface that gave packets: how often the daemon was woken.
    pub tun_reads: u64,
    /// Drops by reason.
    pub drops: DropCounters,
}

/// The live side of [`TunnelCounters`].
#[derive(Debug, Default)]
pub(crate) struct Counters {
    pub(crate) tx_packets: Counter,
    pub(crate) tx_bytes: Counter,
    pub(crate) rx_packets: Counter,
    pub(crate) rx_bytes: Counter,
    pub(crate) initiations_sent: Counter,
    pub(crate) initiations_answered: Counter,
    pub(crate) handshakes: Counter,
    pub(crate) cookies_sent: Counter,
    pub(crate) keepalives_sent: Counter,
    pub(crate) sessions_made: Counter,
    pub(crate) sessions_evicted: Counter,
    pub(crate) held_total: Counter,
    pub(crate) timers_fired: Counter,
    pub(crate) sessions_visited: Counter,
    pub(crate) congestion_marked: Counter,
    pub(crate) tun_reads: Counter,
    pub(crate) drops: LiveDrops,
}

impl Counters {
    /// Reads all; `sessions` and `held_packets` are gauges that others know.
    pub(crate) fn read(&self, sessions: u64, held_packets: u64) -> TunnelCounters {
        TunnelCounters {
            tx_packets: self.tx_packets.get(),
            tx_bytes: self.tx_bytes.get(),
            rx_packets: self.rx_packets.get(),
            rx_bytes: self.rx_bytes.get(),
            initiations_sent: self.initiations_sent.get(),
            initiations_answered: self.initiations_answered.get(),
            handshakes: self.handshakes.get(),
            cookies_sent: self.cookies_sent.get(),
            keepalives_sent: self.keepalives_sent.get(),
            sessions_made: self.sessions_made.get(),
            sessions_evicted: self.sessions_evicted.get(),
            sessions,
            held_packets,
            held_total: self.held_total.get(),
            timers_fired: self.timers_fired.get(),
            sessions_visited: self.sessions_visited.get(),
            congestion_marked: self.congestion_marked.get(),
            tun_reads: self.tun_reads.get(),
            drops: self.drops.read(),
        }
    }
}
