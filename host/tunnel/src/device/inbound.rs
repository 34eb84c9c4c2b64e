//! Datagrams from the network: packets of peers, opened where they lie. Messages of handshakes are set aside for
//! `handshakes.rs`: a curve takes as long as hundreds of packets.

use std::net::IpAddr;
use std::ops::Range;
use std::sync::Arc;
use std::time::Instant;

use super::handshakes::HandshakeMessage;
use super::packets::Head;
use super::peers::Inadmissible;
use super::session::SessionCell;
use super::{DatagramBatch, Device, Endpoint, PeerId};
use crate::limits::OVERHEAD;
use crate::noise::{HEADER, Keypair, Message, Refused, SIDE_BY_SIDE};

/// What datagrams were.
#[derive(Debug, Default)]
pub struct Arrived {
    /// Where packets of peers lie, opened, in order.
    pub packets: Vec<Range<usize>>,
    /// Messages of handshakes, for [`Device::handle_handshake`].
    pub handshakes: Vec<HandshakeMessage>,
}

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
    /// Source and destination of the last that its peer may send: the next is mostly of the same flow.
    admitted: Option<(IpAddr, IpAddr)>,
}

impl Device {
    /// Takes datagrams from `source`: each has `stride` bytes but a shorter last one. Packets of peers are opened in
    /// place; where they lie goes into `arrived`, shifted by `base`. What is to be sent goes into `out`.
    #[expect(clippy::too_many_arguments, reason = "one receive, and both ways out")]
    pub fn handle_datagrams(
        &self,
        now: Instant,
        source: Endpoint,
        bytes: &mut [u8],
        stride: usize,
        base: usize,
        arrived: &mut Arrived,
        out: &mut DatagramBatch,
    ) {
        let drops = &self.common.counters.drops;
        if source.to.port() == 0 {
            // Nobody receives there, and the kernel refuses to send there, as if it were segmentation that it refuses.
            return drops.malformed.add(bytes.chunks(stride.max(1)).count() as u64);
        }
        let mut run: Option<Run> = None;
        let mut at = base;
        let stride = stride.clamp(1, bytes.len().max(1));
        let (whole, shorter) = bytes.split_at_mut(bytes.len() - bytes.len() % stride);
        let shorter = Some(shorter).filter(|shorter| !shorter.is_empty());
        for some in whole.chunks_mut(SIDE_BY_SIDE * stride).chain(shorter) {
            let here = at;
            at += some.len();
            if let Some(receiver) = one_receiver(some, stride) {
                self.switch_run(now, source, &mut run, receiver, (some.len() / stride) as u64, out);
                let Some(run) = &mut run else { continue };
                let outcomes = run.keypair.open_several(now, some, stride);
                for (nth, (datagram, outcome)) in some.chunks_exact(stride).zip(outcomes).enumerate() {
                    let packet = self.admit(run, datagram, outcome);
                    arrived.packets.extend(packet.map(|packet| shifted(packet, here + nth * stride)));
                }
                continue;
            }
            for (nth, datagram) in some.chunks_mut(stride).enumerate() {
                match Message::of(datagram) {
                    Some(Message::Transport { receiver }) => {
                        self.switch_run(now, source, &mut run, receiver, 1, out);
                        let Some(run) = &mut run else { continue };
                        let outcome = run.keypair.open(now, datagram);
                        let packet = self.admit(run, datagram, outcome);
                        arrived.packets.extend(packet.map(|packet| shifted(packet, here + nth * stride)));
                        continue;
                    }
                    Some(Message::Initiation) if self.common.own.load().guard.sheds(now, source.to, datagram) => {
                        drops.too_many_handshakes.one();
                    }
                    // Only what was asked for is worth a hash, and another thread's time.
                    Some(Message::Response { receiver } | Message::Cookie { receiver })
                        if self.session_of(receiver, 1).is_none() => {}
                    Some(_) => arrived.handshakes.extend(HandshakeMessage::of(source, datagram)),
                    None => drops.malformed.one(),
                }
                self.finish_run(now, source, run.take(), out);
            }
        }
        self.finish_run(now, source, run, out);
    }

    /// Goes on with the run of a receiver index, or begins it for `count` messages.
    fn switch_run(
        &self,
        now: Instant,
        source: Endpoint,
        run: &mut Option<Run>,
        receiver: u32,
        count: u64,
        out: &mut DatagramBatch,
    ) {
        if run.as_ref().is_none_or(|run| run.receiver != receiver) {
            self.finish_run(now, source, run.take(), out);
            *run = self.begin_run(receiver, count);
        }
    }

    /// Finds the keypair of a receiver index. That there is none is counted, for as many messages.
    fn begin_run(&self, receiver: u32, count: u64) -> Option<Run> {
        let drops = &self.common.counters.drops;
        let cell = self.session_of(receiver, count)?;
        let session = cell.lock();
        if session.is_gone() {
            drops.unknown_receiver.add(count);
            return None;
        }
        let (keypair, peer) = (session.keypair(receiver), session.peer());
        drop(session);
        let Some(keypair) = keypair else {
            drops.no_keypair.add(count);
            return None;
        };
        Some(Run { receiver, cell, keypair, peer, bytes: 0, data: false, admitted: None })
    }

    /// Takes what came of opening a message; where its packet lies in it, if it has one that its peer may send.
    fn admit(&self, run: &mut Run, datagram: &[u8], outcome: Result<(), Refused>) -> Option<Range<usize>> {
        let counters = &self.common.counters;
        match outcome {
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
        let addresses = (head.source, head.destination);
        if run.admitted != Some(addresses) {
            match self.peers.admits(run.peer, head.source, head.destination) {
                Ok(()) => run.admitted = Some(addresses),
                Err(Inadmissible::Source) => {
                    counters.drops.spoofed_source.one();
                    return None;
                }
                Err(Inadmissible::Destination) => {
                    counters.drops.foreign_destination.one();
                    return None;
                }
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

    /// The session that a receiver index belongs to. That there is none is counted, for as many messages.
    pub(super) fn session_of(&self, receiver: u32, count: u64) -> Option<SessionCell> {
        let cell = self.sessions.read().by_slot(receiver >> 8);
        if cell.is_none() {
            self.common.counters.drops.unknown_receiver.add(count);
        }
        cell
    }
}

/// The receiver index of several transport messages of one size; `None` for one alone, and what is anything else.
fn one_receiver(datagrams: &[u8], stride: usize) -> Option<u32> {
    if datagrams.len() < 2 * stride {
        return None;
    }
    let mut receivers = datagrams.chunks_exact(stride).map(|datagram| match Message::of(datagram) {
        Some(Message::Transport { receiver }) => Some(receiver),
        _ => None,
    });
    let first = receivers.next().flatten()?;
    receivers.all(|other| other == Some(first)).then_some(first)
}

fn shifted(range: Range<usize>, by: usize) -> Range<usize> {
    range.start + by..range.end + by
}
