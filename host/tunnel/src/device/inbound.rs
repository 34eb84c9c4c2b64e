//! A datagram from the network: a handshake, a cookie, or a packet of a peer.

use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::time::Instant;

use super::kept_timestamps::HandshakeTime;
use super::session::SessionCell;
use super::{DatagramBatch, Device, PacketBatch};
use crate::initiation;
use crate::noise::{Admission, HANDSHAKE_ROOM, Message, Refused};

impl Device {
    /// Takes a datagram from `source`. Packets for the interface go into `packets`, what is to be sent into `out`.
    pub fn handle_datagram(
        &self,
        now: Instant,
        source: SocketAddr,
        datagram: &[u8],
        packets: &mut PacketBatch,
        out: &mut DatagramBatch,
    ) {
        let source = canonical(source);
        match Message::of(datagram) {
            None => self.common.counters.drops.malformed.one(),
            Some(Message::Transport { receiver }) => {
                self.handle_transport(now, source, receiver, datagram, packets, out);
            }
            Some(Message::Initiation) => self.handle_initiation(now, source, datagram, out),
            Some(Message::Response { receiver }) => self.handle_response(now, source, receiver, datagram, out),
            Some(Message::Cookie { receiver }) => self.handle_cookie(receiver, datagram),
        }
    }

    fn handle_transport(
        &self,
        now: Instant,
        source: SocketAddr,
        receiver: u32,
        datagram: &[u8],
        packets: &mut PacketBatch,
        out: &mut DatagramBatch,
    ) {
        let Some(cell) = self.session_of(receiver) else { return };
        let mut session = cell.lock();
        if session.is_gone() {
            self.common.counters.drops.unknown_receiver.one();
            return;
        }
        let opened = session.open(&self.common, now, source, receiver, datagram, packets, out);
        self.reschedule(&mut session);
        let peer = session.address();
        drop(session);
        let length = match opened {
            Ok(0) => return,
            Ok(length) => length,
            Err(Refused::NoKeypair) => return self.common.counters.drops.no_keypair.one(),
            Err(_) => return self.common.counters.drops.invalid_transport.one(),
        };
        // What a peer may send is decided by its address alone; the room still holds the packet.
        let (from, to) = addresses(packets.room(length)).unwrap_or((Ipv4Addr::UNSPECIFIED, Ipv4Addr::UNSPECIFIED));
        if from != peer.ipv4() {
            return self.common.counters.drops.spoofed_source.one();
        }
        if to != self.common.address.ipv4() {
            return self.common.counters.drops.foreign_destination.one();
        }
        packets.commit(length);
        self.common.counters.rx_packets.one();
        self.common.counters.rx_bytes.add(length as u64);
    }

    fn handle_initiation(&self, now: Instant, source: SocketAddr, datagram: &[u8], out: &mut DatagramBatch) {
        let drops = &self.common.counters.drops;
        match self.common.guard.admit(source.ip(), datagram, out.room(HANDSHAKE_ROOM)) {
            Admission::Granted => {}
            Admission::Refused => return drops.invalid_mac.one(),
            Admission::Cookie(length) => {
                out.commit(source, length);
                return self.common.counters.cookies_sent.one();
            }
        }
        let own = self.common.key.secret();
        let Ok(message) = <&[u8; initiation::LENGTH]>::try_from(datagram) else { return drops.malformed.one() };
        let Some(claim) = initiation::read_key(own, message) else { return drops.invalid_handshake.one() };
        let table = self.table.load_full();
        let Some(record) = table.peer_by_key(&claim.public_key) else { return drops.unknown_key.one() };
        let Some(timestamp) = initiation::read_timestamp(own, message, &claim) else {
            return drops.invalid_handshake.one();
        };
        let timestamp = HandshakeTime::from_tai64n(&timestamp);
        if !self.kept.lock().allows(&claim.public_key, timestamp) {
            return drops.replayed_initiation.one();
        }
        let Some(cell) = self.make_session(now, record.address(), &claim.public_key) else { return };
        let mut session = cell.lock();
        // A session that just ended, or one of the address's next owner: the initiator tries again.
        if session.is_gone() || *session.public_key() != claim.public_key {
            return drops.unknown_key.one();
        }
        let answered = session.answer(&self.common, now, source, datagram, timestamp, out);
        self.reschedule(&mut session);
        match answered {
            Ok(()) => {}
            Err(Refused::Replayed) => drops.replayed_initiation.one(),
            Err(_) => drops.invalid_handshake.one(),
        }
    }

    fn handle_response(
        &self,
        now: Instant,
        source: SocketAddr,
        receiver: u32,
        datagram: &[u8],
        out: &mut DatagramBatch,
    ) {
        let Some(cell) = self.session_of(receiver) else { return };
        let mut session = cell.lock();
        // Not counted against the handshakes a second: only what was asked for gets here.
        if session.is_gone() || !session.awaits(receiver) {
            return self.common.counters.drops.unknown_receiver.one();
        }
        let finished = session.finish(&self.common, now, source, datagram, out);
        self.reschedule(&mut session);
        match finished {
            Ok(()) => {}
            Err(Refused::Mac) => self.common.counters.drops.invalid_mac.one(),
            Err(_) => self.common.counters.drops.invalid_handshake.one(),
        }
    }

    fn handle_cookie(&self, receiver: u32, datagram: &[u8]) {
        let Some(cell) = self.session_of(receiver) else { return };
        if cell.lock().take_cookie(datagram).is_err() {
            self.common.counters.drops.invalid_handshake.one();
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

/// An IPv4 address that came through an IPv6 socket is IPv4.
fn canonical(source: SocketAddr) -> SocketAddr {
    match source.ip().to_canonical() {
        IpAddr::V4(ip) => SocketAddr::new(ip.into(), source.port()),
        IpAddr::V6(_) => source,
    }
}

/// Source and destination of an IPv4 packet (RFC 791 §3.1).
fn addresses(packet: &[u8]) -> Option<(Ipv4Addr, Ipv4Addr)> {
    let octets = |at: usize| packet.get(at..at + 4).and_then(|four| <[u8; 4]>::try_from(four).ok());
    (packet.first()? >> 4 == 4).then_some(())?;
    Some((octets(12)?.into(), octets(16)?.into()))
}
