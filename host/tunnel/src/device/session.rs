//! A session: handshake, keypairs, endpoint, timers and held packets of one peer in use.
//!
//! Sealing and opening are not done under its lock: who has packets takes the keypair and the counters for them
//! ([`Session::take`]), or the keypair of a receiver index ([`Session::keypair`]), and tells afterwards
//! ([`Session::heard`]).

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use servos_mesh::{Link, PublicKey};
use zeroize::Zeroizing;

use super::batch::DatagramBatch;
use super::packets::{Packets, message_length, padded_length};
use super::peer::{Peer, PeerId};
use super::resumed::JustAgreed;
use super::session_timers::{Duty, SessionTimers};
use super::{Common, Endpoint, SessionStatus, TunnelEvent};
use crate::limits::{OVERHEAD, ROAMED_FRESH};
use crate::noise::{
    COOKIE, HEADER, INITIATION, Initiation, Keypair, PeerMacs, PresharedKey, RESPONSE, Received, Refused, SIDE_BY_SIDE,
    SessionKeys,
};

/// After so many tries the endpoint of the peer's record is tried in place of one that it had roamed to.
const TRIES_BEFORE_RECORD: u32 = 2;

pub(super) type SessionCell = Arc<Mutex<Session>>;

pub(super) struct Session {
    slot: u32,
    peer: PeerId,
    public_key: PublicKey,
    preshared: Zeroizing<PresharedKey>,
    endpoint: Option<Endpoint>,
    macs: PeerMacs,
    /// Our initiation that awaits its response.
    initiation: Option<Initiation>,
    /// Low byte of the receiver index that is given out next.
    next_index: u8,
    keypairs: Keypairs,
    timers: SessionTimers,
    /// For when the session stands in the due queue.
    scheduled: Option<Instant>,
    held: VecDeque<Box<[u8]>>,
    link: Link,
    last_handshake: Option<Instant>,
    round_trip: Option<Duration>,
    rx_bytes: u64,
    tx_bytes: u64,
    gone: bool,
}

/// The keypairs of a session, as old ones give way to new ones.
#[derive(Default)]
struct Keypairs {
    /// What came before `current`, the last first: opens what is still under way. Handshakes that crossed leave each side
    /// sealing with its own keypair, and may cross again: the peer may seal with any of the last three.
    retired: [Option<Arc<Keypair>>; 3],
    /// Seals.
    current: Option<Arc<Keypair>>,
    /// Answered by us, and the peer has not shown that it got the answer.
    next: Option<Arc<Keypair>>,
}

impl Keypairs {
    fn all(&self) -> impl Iterator<Item = &Arc<Keypair>> {
        self.retired.iter().chain([&self.current, &self.next]).flatten()
    }

    fn retire(&mut self, keypair: Option<Arc<Keypair>>) {
        if keypair.is_some() {
            self.retired.rotate_right(1);
            self.retired[0] = keypair;
        }
    }
}

/// What seals packets: a keypair, counters in a row, and where the messages go.
pub(super) struct Sealer {
    keypair: Arc<Keypair>,
    counter: u64,
    endpoint: Endpoint,
    mtu: usize,
}

impl Sealer {
    /// Seals all of them, in order.
    pub(super) fn seal_all<P: Packets + ?Sized>(mut self, packets: &P, out: &mut DatagramBatch) {
        let mut at = 0;
        while at < packets.count() {
            let length = packets.length(at);
            let same = (at..packets.count()).take_while(|next| packets.length(*next) == length);
            let count = same.take(SIDE_BY_SIDE).count();
            self.seal(length, count, |nth, room| packets.write(at + nth, room), out);
            at += count;
        }
    }

    /// Seals `count` packets of `length` bytes.
    fn seal(&mut self, length: usize, count: usize, write: impl Fn(usize, &mut [u8]), out: &mut DatagramBatch) {
        let padded = padded_length(length, self.mtu);
        let size = padded + OVERHEAD;
        let messages = out.room(size * count);
        for (nth, message) in messages.chunks_exact_mut(size).enumerate() {
            write(nth, &mut message[HEADER..HEADER + length]);
            message[HEADER + length..HEADER + padded].fill(0);
        }
        self.keypair.seal(self.counter, messages, size);
        self.counter += count as u64;
        (0..count).for_each(|_| out.commit(self.endpoint, size));
    }
}

impl Session {
    pub(super) fn new(common: &Common, now: Instant, slot: u32, peer: &Peer) -> Self {
        Self {
            slot,
            peer: peer.id,
            public_key: peer.public_key,
            preshared: peer.preshared.clone(),
            endpoint: peer.endpoint.map(Endpoint::from),
            macs: PeerMacs::new(&peer.public_key),
            initiation: None,
            next_index: rand::random(),
            keypairs: Keypairs::default(),
            timers: SessionTimers::new(now, common.limits.session_idle, peer.keepalive),
            scheduled: None,
            held: VecDeque::new(),
            link: Link::Idle,
            last_handshake: None,
            round_trip: None,
            rx_bytes: 0,
            tx_bytes: 0,
            gone: false,
        }
    }

    pub(super) fn slot(&self) -> u32 {
        self.slot
    }

    pub(super) fn peer(&self) -> PeerId {
        self.peer
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

    /// When data was last asked for, or a handshake completed.
    pub(super) fn last_used(&self) -> Instant {
        self.timers.last_used()
    }

    pub(super) fn status(&self, common: &Common) -> Option<SessionStatus> {
        let (instant, system) = common.started;
        (!self.gone).then(|| SessionStatus {
            peer: self.peer,
            public_key: self.public_key,
            endpoint: self.endpoint.map(|endpoint| endpoint.to),
            last_handshake: self.last_handshake.map(|at| system + at.saturating_duration_since(instant)),
            rx_bytes: self.rx_bytes,
            tx_bytes: self.tx_bytes,
            link: self.link,
            round_trip: self.round_trip,
        })
    }

    /// What seals these packets; `None` if they are held instead, and a handshake has begun.
    pub(super) fn take<P: Packets + ?Sized>(
        &mut self,
        common: &Common,
        now: Instant,
        packets: &P,
        out: &mut DatagramBatch,
    ) -> Option<Sealer> {
        let Some(endpoint) = self.endpoint else {
            common.counters.drops.no_endpoint.add(packets.count() as u64);
            return None;
        };
        self.timers.on_wanted(now);
        let mtu = common.mtu();
        let (mut bytes, mut sealed) = (0, 0);
        for at in 0..packets.count() {
            let length = packets.length(at);
            bytes += length as u64;
            sealed += message_length(length, mtu) as u64;
        }
        let Some((keypair, counter)) = self.reserve(now, packets.count()) else {
            self.hold(common, packets);
            if !self.timers.is_initiating() {
                self.begin(common, now, out);
            }
            return None;
        };
        self.tx_bytes += sealed;
        self.timers.on_data_sent(now);
        common.counters.tx_packets.add(packets.count() as u64);
        common.counters.tx_bytes.add(bytes);
        if self.timers.wants_rekey_on_send(now, &keypair) {
            self.begin(common, now, out);
        }
        Some(Sealer { keypair, counter, endpoint, mtu })
    }

    /// Answers an initiation that is authentic and new.
    pub(super) fn answer(
        &mut self,
        common: &Common,
        now: Instant,
        source: Endpoint,
        received: Received,
        out: &mut DatagramBatch,
    ) -> Result<(), Refused> {
        let index = self.take_index();
        let message: &mut [u8; RESPONSE] = out.room(RESPONSE).try_into().map_err(|_| Refused::Invalid)?;
        let keys = received.respond(&self.preshared, index, message).ok_or(Refused::Invalid)?;
        self.macs.stamp(now, message);
        out.commit(source, RESPONSE);
        self.endpoint = Some(source);
        self.rx_bytes += INITIATION as u64;
        self.tx_bytes += RESPONSE as u64;
        common.counters.initiations_answered.one();
        self.timers.on_heard(now, false);
        self.timers.on_answer_sent(now);
        self.keypairs.next = Some(Arc::new(Keypair::new(now, index, false, &keys)));
        self.agreed(common, now, false);
        Ok(())
    }

    /// Takes the response to our initiation; what was held leaves.
    pub(super) fn finish(
        &mut self,
        common: &Common,
        now: Instant,
        source: Endpoint,
        message: &[u8; RESPONSE],
        out: &mut DatagramBatch,
    ) -> Result<(), Refused> {
        let initiation = self.initiation.as_mut().ok_or(Refused::Invalid)?;
        let keys: SessionKeys = initiation.finish(message).ok_or(Refused::Invalid)?;
        let keypair = Arc::new(Keypair::new(now, initiation.index, true, &keys));
        self.initiation = None;
        self.endpoint = Some(source);
        self.rx_bytes += RESPONSE as u64;
        self.timers.on_heard(now, false);
        let (before, unconfirmed) = (self.keypairs.current.replace(keypair), self.keypairs.next.take());
        self.keypairs.retire(before);
        // The peer holds it, and may seal with it.
        self.keypairs.retire(unconfirmed);
        self.agreed(common, now, true);
        if self.held.is_empty() {
            // The peer seals nothing before it is shown that we hold the keypair.
            self.keepalive(common, now, out);
        } else {
            self.release_held(common, now, out);
        }
        Ok(())
    }

    /// Whether a response to that index is waited for.
    pub(super) fn awaits(&self, receiver: u32) -> bool {
        self.initiation.as_ref().is_some_and(|initiation| initiation.index == receiver)
    }

    /// Takes a cookie, which goes into what is sent next of a handshake. Whether it was one, for our initiation or our
    /// response with that index.
    pub(super) fn take_cookie(&mut self, now: Instant, receiver: u32, reply: &[u8; COOKIE]) -> bool {
        let answered = self.keypairs.next.as_ref().is_some_and(|next| next.index == receiver);
        (answered || self.awaits(receiver)) && self.macs.take_cookie(now, reply)
    }

    /// The keypair of a receiver index.
    pub(super) fn keypair(&self, receiver: u32) -> Option<Arc<Keypair>> {
        self.keypairs.all().find(|keypair| keypair.index == receiver).cloned()
    }

    /// Datagrams of `bytes` were opened with `keypair`; `data` if one was more than empty.
    #[expect(clippy::too_many_arguments, reason = "one run of messages, and the way out")]
    pub(super) fn heard(
        &mut self,
        common: &Common,
        now: Instant,
        source: Endpoint,
        keypair: &Arc<Keypair>,
        bytes: u64,
        data: bool,
        out: &mut DatagramBatch,
    ) {
        self.endpoint = Some(source);
        self.rx_bytes += bytes;
        self.timers.on_heard(now, data);
        let confirmed = self.keypairs.next.as_ref().is_some_and(|next| Arc::ptr_eq(next, keypair));
        if confirmed {
            let confirmed = self.keypairs.next.take();
            let before = std::mem::replace(&mut self.keypairs.current, confirmed);
            self.keypairs.retire(before);
            self.timers.on_confirmed();
            self.initiation = None;
            self.release_held(common, now, out);
        }
        if confirmed || self.link != Link::Up {
            self.update_link(common, now);
        }
        let late =
            self.keypairs.current.as_ref().is_some_and(|now_in_use| {
                now_in_use.is_alive(now) && self.timers.wants_rekey_on_receive(now, now_in_use)
            });
        if late {
            self.begin(common, now, out);
        }
    }

    /// Does what is due, if the session stands in the queue for `due`. Returns whether it should be taken out.
    pub(super) fn fire(
        &mut self,
        common: &Common,
        now: Instant,
        due: Instant,
        record_endpoint: impl FnOnce() -> Option<std::net::SocketAddr>,
        out: &mut DatagramBatch,
    ) -> bool {
        if self.gone || self.scheduled != Some(due) {
            return false;
        }
        self.scheduled = None;
        common.counters.timers_fired.one();
        if self.timers.is_initiating() && self.timers.tries() >= TRIES_BEFORE_RECORD {
            self.endpoint = record_endpoint().map(Endpoint::from).or(self.endpoint);
        }
        while let Some(duty) = self.timers.due(now) {
            match duty {
                Duty::End => return true,
                Duty::Initiate => {
                    // Nobody answers at our address that it spoke to: perhaps it is not ours any more.
                    self.endpoint = self.endpoint.map(|endpoint| endpoint.to.into());
                    self.begin(common, now, out);
                }
                Duty::Rekey => self.begin(common, now, out),
                Duty::GiveUp => {
                    self.initiation = None;
                    self.drop_held(common);
                }
                Duty::Keepalive => self.keepalive(common, now, out),
                Duty::KeepAlive => self.keep_alive(common, now, out),
            }
        }
        self.bury(now);
        self.update_link(common, now);
        self.timers.arm_next(now, self.last_dies());
        false
    }

    /// Stands in the due queue again after it was nearly taken out.
    pub(super) fn revive(&mut self, now: Instant) {
        self.timers.arm_next(now, self.last_dies());
    }

    /// Begins a handshake at `due` with the peer, who was last heard from at `endpoint` and may still seal for a process that
    /// is gone.
    pub(super) fn resume(&mut self, endpoint: std::net::SocketAddr, due: Instant) {
        self.endpoint = Some(endpoint.into());
        self.timers.on_resumed(due);
    }

    /// Takes the endpoint of a changed record, unless the peer was just heard from somewhere else than `before`.
    pub(super) fn take_endpoint(
        &mut self,
        now: Instant,
        before: Option<std::net::SocketAddr>,
        after: std::net::SocketAddr,
    ) -> bool {
        let present = self.endpoint.map(|endpoint| endpoint.to);
        let roamed = present.is_some() && present != before;
        if present == Some(after) || roamed && self.timers.was_heard_within(now, ROAMED_FRESH) {
            return false;
        }
        self.endpoint = Some(after.into());
        true
    }

    /// The peer goes by another key from here on. What was agreed under the one before holds until it dies of age; if
    /// the session is in use, the next handshake is begun soon.
    pub(super) fn take_rotated_key(&mut self, now: Instant, key: PublicKey) {
        self.public_key = key;
        self.macs = PeerMacs::new(&key);
        self.timers.on_key_rotated(now, rand::random());
    }

    pub(super) fn set_preshared(&mut self, preshared: Zeroizing<PresharedKey>) {
        self.preshared = preshared;
    }

    pub(super) fn set_endpoint(&mut self, endpoint: std::net::SocketAddr) {
        self.endpoint = Some(endpoint.into());
    }

    /// Sends an empty message every so often; `at_once`: also now. None: not any more.
    pub(super) fn set_keepalive(
        &mut self,
        common: &Common,
        now: Instant,
        interval: Option<Duration>,
        at_once: bool,
        out: &mut DatagramBatch,
    ) {
        self.timers.set_keepalive(now, interval);
        if at_once && interval.is_some() {
            self.keep_alive(common, now, out);
        }
    }

    /// The keys on this side have changed: all is agreed anew.
    pub(super) fn forget_keypairs(&mut self) {
        self.keypairs = Keypairs::default();
        self.initiation = None;
        self.timers.on_forgotten();
    }

    /// Forgets an address of ours that is ours no more.
    pub(super) fn forget_source(&mut self, source: std::net::IpAddr) {
        if let Some(endpoint) = self.endpoint.as_mut().filter(|endpoint| endpoint.from == Some(source)) {
            endpoint.from = None;
        }
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
        self.keypairs = Keypairs::default();
        self.initiation = None;
        self.drop_held(common);
    }

    /// The keypair that seals, if it lives, and as many of its counters.
    fn reserve(&self, now: Instant, count: usize) -> Option<(Arc<Keypair>, u64)> {
        let keypair = self.keypairs.current.as_ref().filter(|keypair| keypair.is_alive(now))?;
        Some((keypair.clone(), keypair.reserve(count as u64)?))
    }

    /// Begins a handshake, or goes on with one. If none can be begun, nothing waits for it.
    fn begin(&mut self, common: &Common, now: Instant, out: &mut DatagramBatch) {
        if self.initiate(common, now, out).is_none() {
            self.initiation = None;
            self.timers.on_not_initiated();
            self.drop_held(common);
        }
    }

    /// Sends an initiation. `None` if there is nobody to send it to, no key of ours, or a peer's that is of no use.
    fn initiate(&mut self, common: &Common, now: Instant, out: &mut DatagramBatch) -> Option<()> {
        let endpoint = self.endpoint?;
        let own: Arc<super::Own> = common.own.load_full();
        let (key, patience) = own.for_initiation(self.timers.tries())?;
        if self.timers.is_barred(now) {
            return None;
        }
        let index = self.take_index();
        let message: &mut [u8; INITIATION] = out.room(INITIATION).try_into().ok()?;
        let timestamp = common.tai64n(now);
        let begun = Initiation::write(key, &self.public_key, &self.preshared, index, timestamp, message);
        let Some(initiation) = begun else {
            // Found out at the cost of a curve: not for each packet again.
            self.timers.bar(now);
            return None;
        };
        self.macs.stamp(now, message);
        out.commit(endpoint, INITIATION);
        self.initiation = Some(initiation);
        self.tx_bytes += INITIATION as u64;
        common.counters.initiations_sent.one();
        self.timers.on_initiation_sent(now, patience, rand::random());
        Some(())
    }

    /// Shows the peer, and what stands between, that we are there: with an empty message, or a handshake where there is
    /// no keypair.
    fn keep_alive(&mut self, common: &Common, now: Instant, out: &mut DatagramBatch) {
        self.timers.on_wanted(now);
        if self.reserve(now, 0).is_some() {
            self.keepalive(common, now, out);
        } else if !self.timers.is_initiating() {
            self.begin(common, now, out);
        }
    }

    /// An empty message.
    fn keepalive(&mut self, common: &Common, now: Instant, out: &mut DatagramBatch) {
        let (Some(endpoint), Some((keypair, counter))) = (self.endpoint, self.reserve(now, 1)) else { return };
        Sealer { keypair, counter, endpoint, mtu: 0 }.seal(0, 1, |_, _| {}, out);
        self.tx_bytes += OVERHEAD as u64;
        self.timers.on_answer_sent(now);
        common.counters.keepalives_sent.one();
    }

    fn take_index(&mut self) -> u32 {
        let index = self.slot << 8 | u32::from(self.next_index);
        self.next_index = self.next_index.wrapping_add(1);
        index
    }

    fn agreed(&mut self, common: &Common, now: Instant, initiator: bool) {
        self.last_handshake = Some(now);
        common.agreed.note(|| self.agreed_last());
        common.counters.handshakes.one();
        self.round_trip = self.timers.on_handshake(now, initiator).or(self.round_trip);
        self.update_link(common, now);
    }

    /// When keys were last agreed, and where the peer was.
    pub(super) fn agreed_last(&self) -> Option<JustAgreed> {
        Some(JustAgreed { peer: self.peer, endpoint: self.endpoint?.to, at: self.last_handshake? })
    }

    /// When the newest keypair dies, be it confirmed or not.
    fn last_dies(&self) -> Option<Instant> {
        self.keypairs.all().map(|keypair| keypair.dies()).max()
    }

    /// Drops keypairs that are dead.
    fn bury(&mut self, now: Instant) {
        let Keypairs { retired, current, next } = &mut self.keypairs;
        for place in retired.iter_mut().chain([current, next]) {
            if place.as_ref().is_some_and(|keypair| !keypair.is_alive(now)) {
                *place = None;
            }
        }
    }

    fn update_link(&mut self, common: &Common, now: Instant) {
        let link = self.timers.link(now, self.last_dies());
        if link != self.link {
            self.link = link;
            if let Some(address) = self.peer.mesh_address() {
                common.subscribers.send(TunnelEvent::LinkChanged(address, link));
            }
        }
    }

    fn hold<P: Packets + ?Sized>(&mut self, common: &Common, packets: &P) {
        for at in 0..packets.count() {
            if self.held.len() >= common.limits.held_packets_a_peer {
                self.held.pop_front();
                common.held.fetch_sub(1, Relaxed);
                common.counters.drops.held_overflow.one();
            }
            if common.held.fetch_add(1, Relaxed) >= common.limits.held_packets {
                common.held.fetch_sub(1, Relaxed);
                common.counters.drops.held_overflow.one();
                continue;
            }
            common.counters.held_total.one();
            let mut packet = vec![0; packets.length(at)].into_boxed_slice();
            packets.write(at, &mut packet);
            self.held.push_back(packet);
        }
    }

    fn release_held(&mut self, common: &Common, now: Instant, out: &mut DatagramBatch) {
        while let Some(packet) = self.held.pop_front() {
            let Some(sealer) = self.take(common, now, &*packet, out) else {
                // Held again, behind the others; it is counted twice as held and once as sent.
                common.held.fetch_sub(1, Relaxed);
                return;
            };
            common.held.fetch_sub(1, Relaxed);
            sealer.seal_all(&*packet, out);
        }
    }

    fn drop_held(&mut self, common: &Common) {
        let count = self.held.len();
        self.held.clear();
        common.held.fetch_sub(count, Relaxed);
        common.counters.drops.held_expired.add(count as u64);
    }
}
