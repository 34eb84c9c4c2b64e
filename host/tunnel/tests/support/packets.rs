//! IP packets of TCP and UDP, and whether their checksums are right, word by word as RFC 1071 has it; of the fuzz
//! targets too.

use std::ops::Range;

use servos_tunnel::device::Packets;
use servos_tunnel::offload::{VirtioHeader, Whole};

/// TCP's flags.
pub const ACK: u8 = 0x10;
pub const PSH: u8 = 0x08;

#[derive(Clone, Copy, Debug)]
pub struct Shape {
    pub ipv6: bool,
    pub tcp: bool,
    /// Bytes of TCP options.
    pub options: usize,
}

impl Shape {
    /// Where TCP's or UDP's head begins.
    pub fn transport(self) -> usize {
        if self.ipv6 { 40 } else { 20 }
    }

    /// Bytes of all heads.
    pub fn head(self) -> usize {
        self.transport() + if self.tcp { 20 + self.options } else { 8 }
    }

    pub fn kind(self) -> u8 {
        match (self.tcp, self.ipv6) {
            (true, false) => VirtioHeader::TCPV4,
            (true, true) => VirtioHeader::TCPV6,
            (false, _) => VirtioHeader::UDP_L4,
        }
    }

    /// A packet with right checksums.
    pub fn packet(self, ports: (u16, u16), sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
        let mut packet = vec![0; self.head() + payload.len()];
        let (at, length) = (self.transport(), packet.len());
        if self.ipv6 {
            packet[0] = 0x60;
            packet[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
            packet[6] = if self.tcp { 6 } else { 17 };
            packet[7] = 64;
            packet[8..40].copy_from_slice(&std::array::from_fn::<u8, 32, _>(|byte| byte as u8 + 1));
        } else {
            packet[0] = 0x45;
            packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            packet[6] = 0x40;
            packet[8] = 64;
            packet[9] = if self.tcp { 6 } else { 17 };
            packet[12..20].copy_from_slice(&[100, 64, 0, 1, 100, 64, 0, 2]);
        }
        packet[at..at + 2].copy_from_slice(&ports.0.to_be_bytes());
        packet[at + 2..at + 4].copy_from_slice(&ports.1.to_be_bytes());
        if self.tcp {
            packet[at + 4..at + 8].copy_from_slice(&sequence.to_be_bytes());
            packet[at + 12] = (((20 + self.options) / 4) << 4) as u8;
            packet[at + 13] = flags;
            packet[at + 20..at + 20 + self.options].fill(1);
        } else {
            packet[at + 4..at + 6].copy_from_slice(&((length - at) as u16).to_be_bytes());
        }
        packet[self.head()..].copy_from_slice(payload);
        make_right(&mut packet);
        packet
    }
}

/// Makes all checksums right.
pub fn make_right(packet: &mut [u8]) {
    let (at, protocol, _) = layout(packet);
    if packet[0] >> 4 == 4 {
        packet[10..12].fill(0);
        let checksum = !sum(&packet[..20], 0);
        packet[10..12].copy_from_slice(&checksum.to_be_bytes());
    }
    let field = at + if protocol == 6 { 16 } else { 6 };
    packet[field..field + 2].fill(0);
    let checksum = !sum(&packet[at..], pseudo(packet));
    packet[field..field + 2].copy_from_slice(&(if checksum == 0 { 0xffff } else { checksum }).to_be_bytes());
}

/// Whether all checksums are right.
pub fn is_right(packet: &[u8]) -> bool {
    let (at, _, _) = layout(packet);
    let head = packet[0] >> 4 == 6 || sum(&packet[..20], 0) == 0xffff;
    head && sum(&packet[at..], pseudo(packet)) == 0xffff
}

/// The sum over the pseudo-header.
pub fn pseudo(packet: &[u8]) -> u64 {
    let (at, protocol, _) = layout(packet);
    let addresses = if packet[0] >> 4 == 6 { &packet[8..40] } else { &packet[12..20] };
    u64::from(sum(addresses, 0)) + u64::from(protocol) + (packet.len() - at) as u64
}

/// Where the head of TCP or UDP begins, its protocol, and bytes of all heads: of packets without IP options.
pub fn layout(packet: &[u8]) -> (usize, u8, usize) {
    let (at, protocol) = if packet[0] >> 4 == 6 { (40, packet[6]) } else { (20, packet[9]) };
    (at, protocol, at + if protocol == 6 { usize::from(packet[at + 12] >> 4) * 4 } else { 8 })
}

/// One's complement sum of 16-bit words.
pub fn sum(bytes: &[u8], mut total: u64) -> u16 {
    for pair in bytes.chunks(2) {
        total += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

/// Packets as they lie after opening, a header before and a tag behind each; and where they lie.
pub fn lay_out(packets: &[Vec<u8>]) -> (Vec<u8>, Vec<Range<usize>>) {
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    for packet in packets {
        bytes.extend([0xee; 16]);
        ranges.push(bytes.len()..bytes.len() + packet.len());
        bytes.extend(packet);
        bytes.extend([0xee; 16]);
    }
    (bytes, ranges)
}

/// What a packet that was left whole stands for.
pub fn segments(whole: &Whole<'_>) -> Vec<Vec<u8>> {
    (0..whole.count())
        .map(|at| {
            let mut room = vec![0xaa; whole.length(at)];
            whole.write(at, &mut room);
            room
        })
        .collect()
}
