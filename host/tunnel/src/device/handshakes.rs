//! Messages of handshakes: initiations, responses, cookies. What they cost is bounded (see `noise/guard.rs`), and done
//! beside the packets, not before them.

use std::time::Instant;

use super::handshake_times::HandshakeTime;
use super::{DatagramBatch, Device, Endpoint};
use crate::noise::{Admission, COOKIE, INITIATION, Message, RESPONSE, Received};

/// A message of a handshake, as it was received.
#[derive(Clone, Debug)]
pub struct HandshakeMessage {
    source: Endpoint,
    /// The longest there is.
    bytes: [u8; INITIATION],
    length: usize,
}

impl HandshakeMessage {
    /// `None` for what is too long to be one.
    pub(super) fn of(source: Endpoint, datagram: &[u8]) -> Option<Self> {
        let mut bytes = [0; INITIATION];
        bytes.get_mut(..datagram.len())?.copy_from_slice(datagram);
        Some(Self { source, bytes, length: datagram.len() })
    }
}

impl Device {
    /// Takes a message of a handshake that [`Device::handle_datagrams`] set aside. What is to be sent goes into `out`.
    pub fn handle_handshake(&self, now: Instant, message: &HandshakeMessage, out: &mut DatagramBatch) {
        let (source, datagram) = (message.source, &message.bytes[..message.length]);
        match Message::of(datagram) {
            Some(Message::Initiation) => self.handle_initiation(now, source, datagram, out),
            Some(Message::Response { receiver }) => self.handle_response(now, source, receiver, datagram, out),
            Some(Message::Cookie { receiver }) => self.handle_cookie(now, receiver, datagram),
            Some(Message::Transport { .. }) | None => self.common.counters.drops.malformed.one(),
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
        let Some(cell) = self.session_of(receiver, 1) else { return };
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
        let Some(cell) = self.session_of(receiver, 1) else { return };
        let mut session = cell.lock();
        if !session.take_cookie(now, receiver, reply) {
            drops.invalid_handshake.one();
        }
    }
}
