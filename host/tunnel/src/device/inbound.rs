//! Datagrams from the network: handshakes, cookies, and packets of peers, opened where they lie.

use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::handshake_times::HandshakeTime;
use super::packets::Head;
use super::peers::Inadmissible;
use super::session::SessionCell;
use super::{DatagramBatch, Device, Endpoint, PeerId};
use crate::limits::OVERHEAD;
use crate::noise::{Admission, COOKIE, HEADER, INITIATION, Keypair, Message, RESPONSE, Received, Refused};

/// Messages in a row to one receiver index.
struct Run {
    receiver: u32,
    cell: SessionCell,
    keypair: Arc<Keypair>,
    peer: PeerId,
    /// Bytes of the authentic ones.
    bytes: u64,
    /// One of them was more than empty.
    data: bool,
}

impl Device {
    /// Takes datagrams from `source`: each has `stride` bytes but a shorter last one. Packets of peers are opened in
    /// place; where they lie goes into `packets`, shifted by `base`. What is to be sent goes into `out`.
    #[expect(clippy::too_many_arguments, reason = "one receive, and both ways out")]
    pub fn handle_datagrams(
        &self,
        now: Instant,
        source: Endpoint,
        bytes: &mut [u8],
        stride: usize,
        base: usize,
        packets: &mut Vec<Range<usize>>,
        out: &mut DatagramBatch,
    ) {
        let drops = &self.common.counters.drops;
        let mut run: Option<Run> = None;
        let mut at = base;
        for datagram in bytes.chunks_mut(stride.max(1)) {
            let here = at;
            at += datagram.len();
            match Message::of(datagram) {
                Some(Message::Transport { receiver }) => {
                    if run.as_ref().is_none_or(|run| run.receiver != receiver) {
                        self.finish_run(now, source, run.take(), out);
                        run = self.begin_run(receiver);
                    }
                    if let Some(run) = &mut run
                        && let Some(packet) = self.open(now, run, datagram)
                    {
                        packets.push(here + packet.start..here + packet.end);
                    }
                    continue;
                }
                Some(Message::Initiation) => self.handle_initiation(now, source, datagram, out),
                Some(Message::Response { receiver }) => self.handle_response(now, source, receiver, datagram, out),
                Some(Message::Cookie { receiver }) => self.handle_cookie(now, receiver, datagram),
                None => drops.malformed.one(),
            }
            // What came before it in the run comes before it in time.
            self.finish_run(now, source, run.take(), out);
        }
        self.finish_run(now, source, run, out);
    }

    /// Finds the keypair of a receiver index. That there is none is counted.
    fn begin_run(&self, receiver: u32) -> Option<Run> {
        let cell = self.session_of(receiver)?;
        let session = cell.lock();
        if session.is_gone() {
            self.common.counters.drops.unknown_receiver.one();
            return None;
        }
        let (keypair, peer) = (session.keypair(receiver), session.peer());
        drop(session);
        let Some(keypair) = keypair else {
            self.common.counters.drops.no_keypair.one();
            return None;
        };
        Some(Run { receiver, cell, keypair, peer, bytes: 0, data: false })
    }

    /// Opens a message; where its packet lies in it, if it has one that its peer may send.
    fn open(&self, now: Instant, run: &mut Run, datagram: &mut [u8]) -> Option<Range<usize>> {
        let counters = &self.common.counters;
        match run.keypair.open(now, datagram) {
            Ok(()) => {}
            Err(Refused::NoKeypair) => {
                counters.drops.no_keypair.one();
                return None;
            }
            Err(_) => {
                counters.drops.invalid_transport.one();
                return None;
            }
        }
        run.bytes += datagram.len() as u64;
        let packet = &datagram[HEADER..datagram.len() - (OVERHEAD - HEADER)];
        if packet.is_empty() {
            return None;
        }
        run.data = true;
        let Some(head) = Head::of(packet) else {
            counters.drops.no_ip_inside.one();
            return None;
        };
        match self.peers.admits(run.peer, head.source, head.destination) {
            Ok(()) => {}
            Err(Inadmissible::Source) => {
                counters.drops.spoofed_source.one();
                return None;
            }
            Err(Inadmissible::Destination) => {
                counters.drops.foreign_destination.one();
                return None;
            }
        }
        counters.rx_packets.one();
        counters.rx_bytes.add(head.length as u64);
        Some(HEADER..HEADER + head.length)
    }

    fn finish_run(&self, now: Instant, source: Endpoint, run: Option<Run>, out: &mut DatagramBatch) {
        let Some(run) = run.filter(|run| run.bytes > 0) else { return };
        let mut session = run.cell.lock();
        if !session.is_gone() {
            session.heard(&self.common, now, source, &run.keypair, run.bytes, run.data, out);
            self.reschedule(&mut session);
        }
    }

    fn handle_initiation(&self, now: Instant, source: Endpoint, datagram: &[u8], out: &mut DatagramBatch) {
        let drops = &self.common.counters.drops;
        let Ok(message) = <&[u8; INITIATION]>::try_from(datagram) else { return drops.malformed.one() };
        let own = self.common.own.load_full();
        let addressed = match own.guard.admit(now, source.to, message) {
            Admission::Granted(addressed) => addressed,
            Admission::WrongMac => return drops.invalid_mac.one(),
            Admission::TooMany => return drops.too_many_handshakes.one(),
            Admission::Cookie(reply) => {
                out.push(source, &reply);
                return self.common.counters.cookies_sent.one();
            }
        };
        let Some(received) = own.addressed(addressed).and_then(|key| Received::read(key, message)) else {
            return drops.invalid_handshake.one();
        };
        let Some(peer) = self.peers.by_key(&received.public_key) else { return drops.unknown_key.one() };
        let time = HandshakeTime::from_tai64n(&received.timestamp);
        if !self.handshakes.lock().accept(&peer.public_key, time) {
            return drops.replayed_initiation.one();
        }
        let Some(cell) = self.make_session(now, peer.id, &peer.public_key) else { return };
        let mut session = cell.lock();
        // A session that just ended, or one of the address's next owner: the initiator tries again.
        if session.is_gone() || *session.public_key() != peer.public_key {
            return drops.unknown_key.one();
        }
        let answered = session.answer(&self.common, now, source, received, out);
        self.reschedule(&mut session);
        if answered.is_err() {
            drops.invalid_handshake.one();
        }
    }

    fn handle_response(&self, now: Instant, source: Endpoint, receiver: u32, datagram: &[u8], out: &mut DatagramBatch) {
        let drops = &self.common.counters.drops;
        let Ok(message) = <&[u8; RESPONSE]>::try_from(datagram) else { return drops.malformed.one() };
        if !self.common.own.load().guard.is_for_us(message) {
            return drops.invalid_mac.one();
        }
        let Some(cell) = self.session_of(receiver) else { return };
        let mut session = cell.lock();
        // Not counted against the handshakes a second: only what was asked for gets here.
        if session.is_gone() || !session.awaits(receiver) {
            return drops.unknown_receiver.one();
        }
        let finished = session.finish(&self.common, now, source, message, out);
        self.reschedule(&mut session);
        if finished.is_err() {
            drops.invalid_handshake.one();
        }
    }

    fn handle_cookie(&self, now: Instant, receiver: u32, datagram: &[u8]) {
        let drops = &self.common.counters.drops;
        let Ok(reply) = <&[u8; COOKIE]>::try_from(datagram) else { return drops.malformed.one() };
        let Some(cell) = self.session_of(receiver) else { return };
        let mut session = cell.lock();
        if !session.awaits(receiver) || !session.take_cookie(now, reply) {
            drops.invalid_handshake.one();
        }
    }

    /// The session that a receiver index belongs to. That there is none is counted.
    fn session_of(&self, receiver: u32) -> Option<SessionCell> {
        let cell = self.sessions.read().by_slot(receiver >> 8);
        if cell.is_none() {
            self.common.counters.drops.unknown_receiver.one();
        }
        cell
    }
}
