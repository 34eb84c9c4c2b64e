//! IP packets of TCP and UDP, and whether their checksums are right, word by word as RFC 1071 has it.

use arbitrary::Arbitrary;

/// TCP's flags.
pub const ACK: u8 = 0x10;
pub const PSH: u8 = 0x08;

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

/// What a packet is made of.
#[derive(Arbitrary, Clone, Debug)]
pub struct Parts {
    pub ipv6: bool,
    pub tcp: bool,
    /// Words of TCP options.
    pub options: u8,
    /// One of few flows.
    pub port: bool,
    /// Type of service or class, time to live or hop limit: one of few.
    pub service: u8,
    pub identification: u16,
    pub flags: u8,
    pub sequence: u32,
    pub payload: u16,
}

impl Parts {
    fn options(&self) -> usize {
        if self.tcp { usize::from(self.options % 11) * 4 } else { 0 }
    }

    /// Where TCP's or UDP's head begins.
    pub fn transport(&self) -> usize {
        if self.ipv6 { 40 } else { 20 }
    }

    /// Bytes of all heads.
    pub fn head(&self) -> usize {
        self.transport() + if self.tcp { 20 + self.options() } else { 8 }
    }

    /// The packet, with right checksums, its payload of `payload` bytes counted on from `fill`.
    pub fn packet(&self, payload: usize, fill: u8) -> Vec<u8> {
        let (at, head) = (self.transport(), self.head());
        let mut packet = vec![0; head];
        packet.extend((0..payload).map(|byte| fill.wrapping_add(byte as u8)));
        let length = packet.len();
        let protocol = if self.tcp { 6 } else { 17 };
        if self.ipv6 {
            packet[0] = 0x60;
            packet[1] = self.service & 3;
            packet[4..6].copy_from_slice(&((length - 40) as u16).to_be_bytes());
            packet[6] = protocol;
            packet[7] = 64 - (self.service >> 2 & 1);
            packet[23] = 1;
            packet[39] = 2;
        } else {
            packet[0] = 0x45;
            packet[1] = self.service & 3;
            packet[2..4].copy_from_slice(&(length as u16).to_be_bytes());
            packet[4..6].copy_from_slice(&self.identification.to_be_bytes());
            packet[6] = if self.service & 8 == 0 { 0x40 } else { 0 };
            packet[8] = 64 - (self.service >> 2 & 1);
            packet[9] = protocol;
            packet[12..20].copy_from_slice(&[100, 64, 0, 1, 100, 64, 0, 2]);
            let checksum = !sum(&packet[..20], 0);
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        packet[at + 1] = u8::from(self.port);
        packet[at + 3] = 9;
        let field = if self.tcp {
            packet[at + 4..at + 8].copy_from_slice(&self.sequence.to_be_bytes());
            packet[at + 12] = (((20 + self.options()) / 4) << 4) as u8 | (self.service >> 4) & 1;
            packet[at + 13] = self.flags;
            packet[at + 15] = self.service >> 5 & 1;
            packet[at + 20..at + 20 + self.options()].fill(1);
            at + 16
        } else {
            packet[at + 4..at + 6].copy_from_slice(&((length - at) as u16).to_be_bytes());
            at + 6
        };
        let checksum = !sum(&packet[at..], pseudo(&packet));
        packet[field..field + 2].copy_from_slice(&(if checksum == 0 { 0xffff } else { checksum }).to_be_bytes());
        packet
    }
}

/// Where the head of TCP or UDP begins, its protocol, and bytes of all heads: of packets without IP options.
pub fn layout(packet: &[u8]) -> (usize, u8, usize) {
    let (at, protocol) = if packet[0] >> 4 == 6 { (40, packet[6]) } else { (20, packet[9]) };
    (at, protocol, at + if protocol == 6 { usize::from(packet[at + 12] >> 4) * 4 } else { 8 })
}

/// The sum over the pseudo-header.
pub fn pseudo(packet: &[u8]) -> u64 {
    let (at, protocol, _) = layout(packet);
    let addresses = if packet[0] >> 4 == 6 { &packet[8..40] } else { &packet[12..20] };
    u64::from(sum(addresses, 0)) + u64::from(protocol) + (packet.len() - at) as u64
}

/// Whether all checksums are right.
pub fn is_right(packet: &[u8]) -> bool {
    let (at, _, _) = layout(packet);
    let head = packet[0] >> 4 == 6 || sum(&packet[..20], 0) == 0xffff;
    head && sum(&packet[at..], pseudo(packet)) == 0xffff
}
