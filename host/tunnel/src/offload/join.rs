//! Packets that were opened, as the fewest that the interface takes: segments of one flow in a row become one.
//!
//! What may be joined is what Linux' own receive offload joins: TCP segments with data whose heads differ in sequence
//! number, identification and checksum alone, and UDP datagrams of one size. The order within a flow is kept. A checksum
//! that is wrong is not hidden: such a packet stays alone, for the host to count.

use std::ops::Range;

use super::checksum::{pseudo_header, sum};
use super::{
    IPV4_HEAD, IPV6_HEAD, TCP, TCP_CHECKSUM, TCP_HEAD, UDP, UDP_CHECKSUM, UDP_HEAD, VirtioHeader, flag, put16, word16,
    word32,
};

/// Longest packet that IP's length fields hold.
const LONGEST: usize = 65_535;

/// Flows that are looked through for each packet. More at a time join less, and lose nothing.
const OPEN_FLOWS: usize = 8;

/// Packets of one batch that become one.
#[derive(Debug)]
pub struct Joined {
    /// What the interface is told.
    pub header: VirtioHeader,
    /// The first packet.
    pub first: Range<usize>,
    /// Payloads of those that follow it.
    pub payloads: Vec<Range<usize>>,
    flow: Option<Flow>,
}

/// What a packet must share with one before it to be joined to it.
#[derive(Clone, Copy, Debug)]
struct Flow {
    is_ipv6: bool,
    protocol: u8,
    /// Where TCP's or UDP's head begins, and bytes of all heads.
    transport: usize,
    head: usize,
    /// Bytes of payload of each but the last.
    segment: usize,
    /// Bytes of the joined packet so far.
    total: usize,
    /// TCP's next sequence number.
    sequence: u32,
    /// It may follow what is joined already.
    joinable: bool,
    /// Nothing may follow it.
    closed: bool,
}

/// What an interface takes joined.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Joinable {
    /// It knows no offload.
    #[default]
    Nothing,
    /// TCP segments.
    Tcp,
    /// UDP datagrams, too (Linux 6.2).
    TcpAndUdp,
}

/// Joins packets of a batch. Its memory is used again.
#[derive(Debug, Default)]
pub struct Joiner {
    joined: Vec<Joined>,
    used: usize,
    joinable: Joinable,
}

impl Joiner {
    /// A joiner for an interface.
    pub fn new(joinable: Joinable) -> Self {
        Self { joinable, ..Self::default() }
    }

    /// Joins the packets at `packets` in `bytes`, and writes the heads of those that became one.
    pub fn join(&mut self, bytes: &mut [u8], packets: &[Range<usize>]) -> &[Joined] {
        self.used = 0;
        for range in packets {
            let packet = &bytes[range.clone()];
            let flow = Flow::of(packet, self.joinable);
            let appended = flow.as_ref().is_some_and(|flow| self.append(bytes, range, flow));
            if !appended {
                self.begin(range, flow);
            }
        }
        for joined in &mut self.joined[..self.used] {
            joined.finish(bytes);
        }
        &self.joined[..self.used]
    }

    fn append(&mut self, bytes: &[u8], range: &Range<usize>, flow: &Flow) -> bool {
        let packet = &bytes[range.clone()];
        let looked_through = self.used.saturating_sub(OPEN_FLOWS);
        for joined in self.joined[looked_through..self.used].iter_mut().rev() {
            let Some(before) = &mut joined.flow else { continue };
            let head = &bytes[joined.first.clone()];
            if !before.is_same(flow, head, packet) {
                continue;
            }
            let payload = packet.len() - flow.head;
            if joined.payloads.len() == Joined::MAX_PAYLOADS || !before.continues(flow, head, packet, payload) {
                // The order is kept: nothing of this flow goes before this packet any more.
                before.closed = true;
                return false;
            }
            before.total += payload;
            before.sequence = before.sequence.wrapping_add(payload as u32);
            before.closed = payload < before.segment || flow.closed;
            joined.payloads.push(range.start + flow.head..range.end);
            return true;
        }
        false
    }

    fn begin(&mut self, range: &Range<usize>, flow: Option<Flow>) {
        if self.used == self.joined.len() {
            let (header, first) = (VirtioHeader::default(), 0..0);
            self.joined.push(Joined { header, first, payloads: Vec::new(), flow: None });
        }
        let joined = &mut self.joined[self.used];
        joined.header = VirtioHeader::default();
        joined.first = range.clone();
        joined.payloads.clear();
        joined.flow = flow;
        self.used += 1;
    }
}

impl Joined {
    /// Payloads at most: Linux splits a UDP packet into no more than 128 (`UDP_MAX_SEGMENTS`).
    pub const MAX_PAYLOADS: usize = 127;

    /// Writes the head of what is more than one packet.
    fn finish(&mut self, bytes: &mut [u8]) {
        let Some(flow) = self.flow.filter(|_| !self.payloads.is_empty()) else { return };
        // A push of the last one is the whole's.
        let pushes = flow.protocol == TCP && flow.closed && self.pushes(bytes, &flow);
        let packet = &mut bytes[self.first.clone()];
        let (network, transport) = packet.split_at_mut(flow.transport);
        let length = flow.total - flow.transport;
        let pseudo = if flow.is_ipv6 {
            put16(network, 4, (flow.total - IPV6_HEAD) as u16);
            pseudo_header(&network[8..40], flow.protocol, length)
        } else {
            put16(network, 2, flow.total as u16);
            put16(network, 10, 0);
            let checksum = !sum(network, 0);
            put16(network, 10, checksum);
            pseudo_header(&network[12..20], flow.protocol, length)
        };
        let offset = if flow.protocol == TCP {
            transport[13] |= if pushes { flag::PSH } else { 0 };
            TCP_CHECKSUM
        } else {
            put16(transport, 4, length as u16);
            UDP_CHECKSUM
        };
        put16(transport, offset, sum(&[], pseudo));
        self.header = VirtioHeader {
            needs_checksum: true,
            kind: match (flow.protocol, flow.is_ipv6) {
                (UDP, _) => VirtioHeader::UDP_L4,
                (_, false) => VirtioHeader::TCPV4,
                (_, true) => VirtioHeader::TCPV6,
            },
            head: flow.head as u16,
            segment: flow.segment as u16,
            checksum_start: flow.transport as u16,
            checksum_offset: offset as u16,
        };
    }

    fn pushes(&self, bytes: &[u8], flow: &Flow) -> bool {
        // The heads of those that were joined still lie before their payloads.
        let last = self.payloads.last().map(|payload| payload.start - flow.head + flow.transport + 13);
        last.is_some_and(|at| bytes[at] & flag::PSH != 0)
    }
}

impl Flow {
    /// Reads a packet of TCP or UDP; `None` for all else. What may not be joined is closed from the start.
    fn of(packet: &[u8], joinable: Joinable) -> Option<Self> {
        if joinable == Joinable::Nothing {
            return None;
        }
        let is_ipv6 = *packet.first()? >> 4 == 6;
        let transport = if is_ipv6 { IPV6_HEAD } else { IPV4_HEAD };
        if packet.len() < transport + UDP_HEAD {
            return None;
        }
        // Without options, whole: neither more fragments nor an offset.
        if !is_ipv6 && (packet[0] != 0x45 || word16(packet, 6) & 0x3fff != 0) {
            return None;
        }
        let protocol = packet[if is_ipv6 { 6 } else { 9 }];
        let (head, data, last) = match protocol {
            TCP if packet.len() >= transport + TCP_HEAD => {
                let head = transport + usize::from(packet[transport + 12] >> 4) * 4;
                let flags = packet[transport + 13];
                let data = head >= transport + TCP_HEAD && flags & !flag::PSH == flag::ACK;
                (head, data, flags & flag::PSH != 0)
            }
            UDP => {
                let whole = usize::from(word16(packet, transport + 4)) == packet.len() - transport;
                (transport + UDP_HEAD, joinable == Joinable::TcpAndUdp && whole, false)
            }
            _ => return None,
        };
        let payload = packet.len().saturating_sub(head);
        let sequence = match protocol {
            TCP => word32(packet, transport + 4).wrapping_add(payload as u32),
            _ => 0,
        };
        let joinable = data && payload > 0;
        let closed = last || !joinable;
        let total = packet.len();
        Some(Self { is_ipv6, protocol, transport, head, segment: payload, total, sequence, joinable, closed })
    }

    /// Whether both are of one connection: addresses, protocol, ports.
    fn is_same(&self, other: &Self, head: &[u8], packet: &[u8]) -> bool {
        let addresses = if self.is_ipv6 { 8..40 } else { 12..20 };
        let ports = self.transport..self.transport + 4;
        self.is_ipv6 == other.is_ipv6
            && self.protocol == other.protocol
            && head[addresses.clone()] == packet[addresses]
            && head[ports.clone()] == packet[ports]
    }

    /// Whether the packet is the next of what was joined so far, and both checksums are right.
    fn continues(&self, other: &Self, head: &[u8], packet: &[u8], payload: usize) -> bool {
        let fits = other.joinable
            && !self.closed
            && self.head == other.head
            && payload <= self.segment
            && self.total + payload <= LONGEST
            // Class and flow label, or type of service; hop limit or time to live; don't-fragment.
            && if self.is_ipv6 {
                head[..4] == packet[..4] && head[7] == packet[7]
            } else {
                head[1] == packet[1] && head[8] == packet[8] && head[6] == packet[6]
            };
        let at = self.transport;
        let same = match self.protocol {
            // Acknowledgement, length and reserved bits, window, urgent pointer, options.
            TCP => {
                self.sequence == word32(packet, at + 4)
                    && head[at + 12] == packet[at + 12]
                    && head[at + 8..at + 12] == packet[at + 8..at + 12]
                    && head[at + 14..at + 16] == packet[at + 14..at + 16]
                    && head[at + 18..self.head] == packet[at + 18..self.head]
            }
            // None is left out: what has no checksum is not given one.
            _ => word16(head, at + 6) != 0 && word16(packet, at + 6) != 0,
        };
        let first = self.total == head.len();
        fits && same && self.is_right(packet) && (!first || self.is_right(head))
    }

    /// Whether the checksums of a packet of this flow are right.
    fn is_right(&self, packet: &[u8]) -> bool {
        if !self.is_ipv6 && sum(&packet[..IPV4_HEAD], 0) != 0xffff {
            return false;
        }
        let addresses = if self.is_ipv6 { &packet[8..40] } else { &packet[12..20] };
        let transport = &packet[self.transport..];
        sum(transport, pseudo_header(addresses, self.protocol, transport.len())) == 0xffff
    }
}
