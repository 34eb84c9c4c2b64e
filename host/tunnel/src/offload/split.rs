//! A packet that the kernel left whole, as the segments that it stands for.

use std::net::IpAddr;

use super::checksum::{copy_and_sum, fold, pseudo_header, sum};
use super::{
    IPV4_HEAD, IPV6_HEAD, TCP, TCP_CHECKSUM, TCP_HEAD, UDP, UDP_CHECKSUM, UDP_HEAD, VirtioHeader, flag, put16, put32,
    word16, word32,
};
use crate::device::Packets;
use crate::device::packets::Head;

/// A packet of the interface: one to be sent as it is, or segments of one.
#[derive(Debug)]
pub struct Whole<'a> {
    packet: &'a [u8],
    destination: IpAddr,
    /// None: sent as it is.
    cut: Option<Cut>,
    /// Segments that are left out, from the first on.
    left_out: usize,
}

#[derive(Clone, Copy, Debug)]
struct Cut {
    is_ipv6: bool,
    is_tcp: bool,
    /// Where TCP's or UDP's head begins.
    transport: usize,
    /// Bytes of all heads.
    head: usize,
    /// Bytes of payload in each segment but the last.
    segment: usize,
    /// Sums of the heads, but for what differs from segment to segment: of IPv4's, and of TCP's or UDP's with the
    /// pseudo-header.
    network_sum: u64,
    transport_sum: u64,
}

impl<'a> Whole<'a> {
    /// Reads a packet behind its header; completes its checksum if that is all there is to do. `None` for what is no
    /// IP packet, or whose header does not fit it.
    pub fn read(header: VirtioHeader, packet: &'a mut [u8]) -> Option<Self> {
        let head = Head::of(packet)?;
        let destination = head.destination;
        if header.kind == VirtioHeader::NONE {
            if header.needs_checksum {
                complete(header, packet)?;
            }
            return Some(Self { packet: &packet[..head.length], destination, cut: None, left_out: 0 });
        }
        let packet: &[u8] = &packet[..head.length];
        let cut = Cut::of(header, packet)?;
        Some(Self { packet, destination, cut: Some(cut), left_out: 0 })
    }

    /// Leaves out the first segment, or the packet if it is but one.
    pub fn leave_out_first(&mut self) {
        self.left_out = (self.left_out + 1).min(self.all());
    }

    /// Segments with those that are left out.
    fn all(&self) -> usize {
        self.cut.map_or(1, |cut| (self.packet.len() - cut.head).div_ceil(cut.segment))
    }
}

/// Completes the checksum of a packet that is sent as it is.
fn complete(header: VirtioHeader, packet: &mut [u8]) -> Option<()> {
    let start = usize::from(header.checksum_start);
    let field = start + usize::from(header.checksum_offset);
    if field + 2 > packet.len() {
        return None;
    }
    let total = !sum(&packet[start..], 0);
    // Of the two zeros UDP takes the one that does not mean "none" (RFC 768); TCP takes either.
    put16(packet, field, if total == 0 { 0xffff } else { total });
    Some(())
}

impl Cut {
    fn of(header: VirtioHeader, packet: &[u8]) -> Option<Self> {
        let is_ipv6 = packet[0] >> 4 == 6;
        let (transport, protocol) =
            if is_ipv6 { (IPV6_HEAD, *packet.get(6)?) } else { (usize::from(packet[0] & 0xf) * 4, *packet.get(9)?) };
        let is_tcp = match (header.kind & !VirtioHeader::ECN, is_ipv6, protocol) {
            (VirtioHeader::TCPV4, false, TCP) | (VirtioHeader::TCPV6, true, TCP) => true,
            (VirtioHeader::UDP_L4, _, UDP) => false,
            _ => return None,
        };
        // The kernel's `hdr_len` is a hint alone: what the heads say counts.
        let head =
            if is_tcp { transport + usize::from(*packet.get(transport + 12)? >> 4) * 4 } else { transport + UDP_HEAD };
        let least = if is_tcp { TCP_HEAD } else { UDP_HEAD };
        let segment = usize::from(header.segment);
        let sane = transport >= if is_ipv6 { IPV6_HEAD } else { IPV4_HEAD }
            && head >= transport + least
            && head < packet.len()
            && segment > 0
            && usize::from(header.checksum_start) == transport;
        if !sane {
            return None;
        }
        let (network, transport_head) = packet[..head].split_at(transport);
        let sums = |parts: &[&[u8]]| parts.iter().map(|part| u64::from(sum(part, 0))).sum::<u64>();
        let addresses = if is_ipv6 { &network[8..40] } else { &network[12..20] };
        // Of TCP's without sequence number, flags and checksum; of UDP's the ports.
        let ports = sums(&[&transport_head[..4]]);
        let of_transport = if is_tcp {
            ports + sums(&[&transport_head[8..12], &transport_head[14..16], &transport_head[18..]])
        } else {
            ports
        };
        // Without length, identification and checksum.
        let network_sum = if is_ipv6 { 0 } else { sums(&[&network[..2], &network[6..10], &network[12..]]) };
        let transport_sum = pseudo_header(addresses, protocol, 0) + of_transport;
        Some(Self { is_ipv6, is_tcp, transport, head, segment, network_sum, transport_sum })
    }

    /// Bytes of payload of segment `at`, and where it begins in the packet.
    fn payload(&self, packet: &[u8], at: usize) -> (usize, usize) {
        let begin = self.head + at * self.segment;
        (begin, (packet.len() - begin).min(self.segment))
    }
}

impl Packets for Whole<'_> {
    fn destination(&self) -> Option<IpAddr> {
        Some(self.destination)
    }

    fn count(&self) -> usize {
        self.all() - self.left_out
    }

    fn length(&self, at: usize) -> usize {
        self.cut.map_or(self.packet.len(), |cut| cut.head + cut.payload(self.packet, self.left_out + at).1)
    }

    fn write(&self, at: usize, room: &mut [u8]) {
        let Some(cut) = self.cut else { return room.copy_from_slice(self.packet) };
        let at = self.left_out + at;
        let (begin, payload) = cut.payload(self.packet, at);
        room[..cut.head].copy_from_slice(&self.packet[..cut.head]);
        // All heads have an even length, so that the sums of head and payload can be added.
        let of_payload = copy_and_sum(&self.packet[begin..begin + payload], &mut room[cut.head..]);
        let (network, transport) = room.split_at_mut(cut.transport);
        let length = transport.len();
        if cut.is_ipv6 {
            put16(network, 4, (network.len() + length - IPV6_HEAD) as u16);
        } else {
            // Each has an identification of its own (RFC 6864 does not ask for it where DF is set; some look at it).
            let (total, identification) = ((network.len() + length) as u16, word16(network, 4).wrapping_add(at as u16));
            put16(network, 2, total);
            put16(network, 4, identification);
            put16(network, 10, !fold(cut.network_sum + u64::from(total) + u64::from(identification)));
        }
        let mut sum = cut.transport_sum + length as u64 + u64::from(of_payload);
        let field = if cut.is_tcp {
            let sequence = word32(transport, 4).wrapping_add((at * cut.segment) as u32);
            put32(transport, 4, sequence);
            let is_last = begin + payload == self.packet.len();
            if !is_last {
                transport[13] &= !(flag::FIN | flag::PSH);
            }
            if at > 0 {
                transport[13] &= !flag::CWR;
            }
            sum += u64::from(sequence >> 16) + u64::from(sequence & 0xffff) + u64::from(word16(transport, 12));
            TCP_CHECKSUM
        } else {
            put16(transport, 4, length as u16);
            sum += length as u64;
            UDP_CHECKSUM
        };
        let checksum = !fold(sum);
        put16(transport, field, if checksum == 0 { 0xffff } else { checksum });
    }
}
