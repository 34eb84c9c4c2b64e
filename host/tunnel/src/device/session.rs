//! A session: keypairs, endpoint, timers and held packets of one peer in use.

use std::collections::VecDeque;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use servos_mesh::{Link, MeshAddress, PeerRecord, PublicKey};

use super::batch::{DatagramBatch, PacketBatch};
use super::kept_timestamps::HandshakeTime;
use super::session_timers::{Duty, SessionTimers};
use super::{Common, SessionStatus, TunnelEvent};
use crate::limits::{OVERHEAD, ROAMED_FRESH};
use crate::noise::{HANDSHAKE_ROOM, Noise, Opened, Refused};

/// After so many tries the endpoint of the peer's record is tried in place of one that it had roamed to.
const TRIES_BEFORE_RECORD: u32 = 2;

pub(super) type SessionCell = Arc<Mutex<Session>>;

pub(super) struct Session {
    slot: u32,
    address: MeshAddress,
    public_key: PublicKey,
    endpoint: Option<SocketAddr>,
    noise: Noise,
    timers: SessionTimers,
    /// For when the session stands in the due queue.
    scheduled: Option<Instant>,
    held: VecDeque<Held>,
    link: Link,
    last_handshake: Option<Instant>,
    /// Of the last initiation that was answered.
    timestamp: Option<HandshakeTime>,
    round_trip: Option<Duration>,
    rx_bytes: u64,
    tx_bytes: u64,
    gone: bool,
}

/// A packet that waits for a handshake.
struct Held {
    /// With its padding.
    padded: Box<[u8]>,
    /// Without.
    length: usize,
}

impl Session {
    pub(super) fn new(common: &Common, now: Instant, slot: u32, record: &PeerRecord) -> Self {
        Self {
            slot,
            address: record.address(),
            public_key: *record.public_key(),
            endpoint: record.endpoint(),
            noise: Noise::new(&common.key, record.public_key(), slot, &common.guard),
            timers: SessionTimers::new(now, common.limits.session_idle),
            scheduled: None,
            held: VecDeque::new(),
            link: Link::Idle,
            last_handshake: None,
            timestamp: None,
            round_trip: None,
            rx_bytes: 0,
            tx_bytes: 0,
            gone: false,
        }
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    pub(super) fn address(&self) -> MeshAddress {
        self.address
    }

    pub(super) fn public_key(&self) -> &PublicKey {
        &self.public_key
    }

    /// Whether the session was taken out while somebody waited for its lock.
    pub(super) fn is_gone(&self) -> bool {
        self.gone
    }

    /// Whether nobody has used it for long.
    pub(super) fn is_idle(&self, now: Instant) -> bool {
        self.timers.ends_at() <= now
    }

    /// Whose initiations must be newer than what, when the session is gone.
    pub(super) fn timestamp_to_keep(&self) -> Option<(PublicKey, HandshakeTime)> {
        self.timestamp.map(|timestamp| (self.public_key, timestamp))
    }

    pub(super) fn status(&self, common: &Common) -> Option<SessionStatus> {
        let (instant, system) = common.started;
        (!self.gone).then(|| SessionStatus {
            address: self.address,
            public_key: self.public_key,
            endpoint: self.endpoint,
            last_handshake: self.last_handshake.map(|at| system + at.saturating_duration_since(instant)),
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            link: self.link,
            round_trip: self.round_trip,
        })
    }

    /// Seals a packet, or holds it and begins a handshake. `padded` begins with the packet's `length` bytes.
    pub(super) fn send(
        &mut self,
        common: &Common,
        now: Instant,
        padded: &[u8],
        length: usize,
        out: &mut DatagramBatch,
    ) {
        if self.endpoint.is_none() {
            common.counters.drops.no_endpoint.one();
            return;
        }
        self.timers.on_wanted(now);
        if self.seal(common, now, padded, length, out) {
            let rekey = self.noise.current(now).is_some_and(|keypair| self.timers.wants_rekey_on_send(now, keypair));
            if rekey {
                self.initiate(common, now, out);
            }
            return;
        }
        self.hold(common, padded, length);
        if !self.timers.is_initiating() {
            self.initiate(common, now, out);
        }
    }

    /// Answers an initiation that was admitted, whose sender and timestamp are authentic.
    pub(super) fn answer(
        &mut self,
        common: &Common,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
        timestamp: HandshakeTime,
        out: &mut DatagramBatch,
    ) -> Result<(), Refused> {
        let length = self.noise.respond(now, datagram, out.room(HANDSHAKE_ROOM))?;
        out.commit(source, length);
        self.timestamp = Some(timestamp);
        self.endpoint = Some(source);
        self.rx_bytes += datagram.len() as u64;
        self.tx_bytes += length as u64;
        common.counters.initiations_answered.one();
        self.timers.on_heard(now, false);
        self.timers.on_answer_sent();
        self.agreed(common, now, false);
        Ok(())
    }

    /// Takes the response to our initiation; what was held leaves.
    pub(super) fn finish(
        &mut self,
        common: &Common,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
        out: &mut DatagramBatch,
    ) -> Result<(), Refused> {
        let length = self.noise.finish(now, datagram, out.room(HANDSHAKE_ROOM))?;
        self.endpoint = Some(source);
        self.rx_bytes += datagram.len() as u64;
        self.timers.on_heard(now, false);
        self.agreed(common, now, true);
        if self.held.is_empty() {
            out.commit(source, length);
            self.tx_bytes += length as u64;
        } else {
            self.release_held(common, now, out);
        }
        Ok(())
    }

    /// Whether a response to that index is waited for.
    pub(super) fn awaits(&self, receiver: u32) -> bool {
        self.noise.awaits(receiver)
    }

    pub(super) fn take_cookie(&mut self, datagram: &[u8]) -> Result<(), Refused> {
        self.noise.take_cookie(datagram)
    }

    /// Opens a transport message into `packets`' room, without committing it; returns the packet's length.
    #[expect(clippy::too_many_arguments, reason = "one message, its way in, and both ways out")]
    pub(super) fn open(
        &mut self,
        common: &Common,
        now: Instant,
        source: SocketAddr,
        receiver: u32,
        datagram: &[u8],
        packets: &mut PacketBatch,
        out: &mut DatagramBatch,
    ) -> Result<usize, Refused> {
        let room = packets.room(datagram.len().max(HANDSHAKE_ROOM));
        let Opened { length, confirmed } = self.noise.open(now, receiver, datagram, room)?;
        if self.endpoint != Some(source) {
            self.endpoint = Some(source);
        }
        self.rx_bytes += datagram.len() as u64;
        self.timers.on_heard(now, length > 0);
        if confirmed {
            self.timers.on_confirmed();
            self.release_held(common, now, out);
        }
        if confirmed || self.link != Link::Up {
            self.update_link(common, now);
        }
        if self.noise.current(now).is_some_and(|keypair| self.timers.wants_rekey_on_receive(now, keypair)) {
            self.initiate(common, now, out);
        }
        Ok(length)
    }

    /// Does what is due, if the session stands in the queue for `due`. Returns whether it should be taken out.
    pub(super) fn fire(
        &mut self,
        common: &Common,
        now: Instant,
        due: Instant,
        record_endpoint: impl FnOnce() -> Option<SocketAddr>,
        out: &mut DatagramBatch,
    ) -> bool {
        if self.gone || self.scheduled != Some(due) {
            return false;
        }
        self.scheduled = None;
        common.counters.timers_fired.one();
        if self.timers.is_initiating() && self.timers.tries() >= TRIES_BEFORE_RECORD {
            self.endpoint = record_endpoint().or(self.endpoint);
        }
        while let Some(duty) = self.timers.due(now) {
            match duty {
                Duty::End => return true,
                Duty::Initiate => self.initiate(common, now, out),
                Duty::GiveUp => self.drop_held(common),
                Duty::Keepalive => self.keepalive(common, now, out),
            }
        }
        if self.noise.last_dies().is_some_and(|dies| dies <= now) {
            self.noise.bury(now);
        }
        self.update_link(common, now);
        self.timers.arm_next(now, self.noise.last_dies());
        false
    }

    /// Stands in the due queue again after it was nearly taken out.
    pub(super) fn revive(&mut self, now: Instant) {
        self.timers.arm_next(now, self.noise.last_dies());
    }

    /// Takes the endpoint of a changed record, unless the peer was just heard from somewhere else than `before`.
    pub(super) fn take_endpoint(&mut self, now: Instant, before: Option<SocketAddr>, after: SocketAddr) -> bool {
        let roamed = self.endpoint.is_some() && self.endpoint != before;
        if self.endpoint == Some(after) || roamed && self.timers.was_heard_within(now, ROAMED_FRESH) {
            return false;
        }
        self.endpoint = Some(after);
        true
    }

    /// When the session wants to be looked at, if that is earlier than it stands in the queue for.
    pub(super) fn take_earlier_due(&mut self) -> Option<Instant> {
        let armed = self.timers.take_armed()?;
        if self.scheduled.is_some_and(|scheduled| scheduled <= armed) {
            return None;
        }
        self.scheduled = Some(armed);
        Some(armed)
    }

    /// The session has been taken out.
    pub(super) fn end(&mut self, common: &Common) {
        self.gone = true;
        self.drop_held(common);
    }

    fn seal(&mut self, common: &Common, now: Instant, padded: &[u8], length: usize, out: &mut DatagramBatch) -> bool {
        let Some(endpoint) = self.endpoint else { return false };
        let room = out.room((padded.len() + OVERHEAD).max(HANDSHAKE_ROOM));
        let Some(sealed) = self.noise.seal(now, padded, room) else { return false };
        out.commit(endpoint, sealed);
        self.tx_bytes += sealed as u64;
        if length > 0 {
            self.timers.on_data_sent(now);
            common.counters.tx_packets.one();
            common.counters.tx_bytes.add(length as u64);
        } else {
            self.timers.on_answer_sent();
            common.counters.keepalives_sent.one();
        }
        true
    }

    fn initiate(&mut self, common: &Common, now: Instant, out: &mut DatagramBatch) {
        let Some(endpoint) = self.endpoint else { return };
        let Some(length) = self.noise.initiate(out.room(HANDSHAKE_ROOM)) else { return };
        out.commit(endpoint, length);
        self.tx_bytes += length as u64;
        common.counters.initiations_sent.one();
        self.timers.on_initiation_sent(now, rand::random());
    }

    fn keepalive(&mut self, common: &Common, now: Instant, out: &mut DatagramBatch) {
        self.seal(common, now, &[], 0, out);
    }

    fn agreed(&mut self, common: &Common, now: Instant, initiator: bool) {
        self.last_handshake = Some(now);
        common.counters.handshakes.one();
        self.round_trip = self.timers.on_handshake(now, initiator).or(self.round_trip);
        self.update_link(common, now);
    }

    fn update_link(&mut self, common: &Common, now: Instant) {
        let link = self.timers.link(now, self.noise.last_dies());
        if link != self.link {
            self.link = link;
            common.subscribers.send(TunnelEvent::LinkChanged(self.address, link));
        }
    }

    fn hold(&mut self, common: &Common, padded: &[u8], length: usize) {
        if self.held.len() >= common.limits.held_packets_a_peer {
            self.held.pop_front();
            common.held.fetch_sub(1, Relaxed);
            common.counters.drops.held_overflow.one();
        }
        if common.held.fetch_add(1, Relaxed) >= common.limits.held_packets {
            common.held.fetch_sub(1, Relaxed);
            common.counters.drops.held_overflow.one();
            return;
        }
        common.counters.held_total.one();
        self.held.push_back(Held { padded: padded.into(), length });
    }

    fn release_held(&mut self, common: &Common, now: Instant, out: &mut DatagramBatch) {
        while let Some(held) = self.held.pop_front() {
            if !self.seal(common, now, &held.padded, held.length, out) {
                self.held.push_front(held);
                return;
            }
            common.held.fetch_sub(1, Relaxed);
        }
    }

    fn drop_held(&mut self, common: &Common) {
        let count = self.held.len();
        self.held.clear();
        common.held.fetch_sub(count, Relaxed);
        common.counters.drops.held_expired.add(count as u64);
    }
}
