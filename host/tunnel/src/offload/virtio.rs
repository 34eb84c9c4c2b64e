//! The header before each packet of the interface (virtio 1.2 §5.1.6; Linux `struct virtio_net_hdr`).

/// What is left to do with a packet.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VirtioHeader {
    /// The checksum from `checksum_start` on is not complete: its field holds the pseudo-header's sum.
    pub needs_checksum: bool,
    /// Kind of segmentation; 0 for none.
    pub kind: u8,
    /// Bytes of all heads.
    pub head: u16,
    /// Bytes of payload of each segment but the last.
    pub segment: u16,
    /// Where the checksum begins: at TCP's or UDP's head.
    pub checksum_start: u16,
    /// Where its field stands, from there.
    pub checksum_offset: u16,
}

impl VirtioHeader {
    /// Bytes of it.
    pub const LENGTH: usize = 10;

    /// No segmentation.
    pub const NONE: u8 = 0;
    /// TCP over IPv4.
    pub const TCPV4: u8 = 1;
    /// TCP over IPv6.
    pub const TCPV6: u8 = 4;
    /// UDP.
    pub const UDP_L4: u8 = 5;
    /// A bit beside `TCPV4` and `TCPV6`: the first segment alone carries CWR.
    pub const ECN: u8 = 0x80;

    const NEEDS_CHECKSUM: u8 = 1;

    /// Reads it from the machine's order of bytes, as TUN has it.
    pub fn read(bytes: &[u8; Self::LENGTH]) -> Self {
        let word = |at: usize| u16::from_ne_bytes([bytes[at], bytes[at + 1]]);
        Self {
            needs_checksum: bytes[0] & Self::NEEDS_CHECKSUM != 0,
            kind: bytes[1],
            head: word(2),
            segment: word(4),
            checksum_start: word(6),
            checksum_offset: word(8),
        }
    }

    /// Writes it.
    pub fn write(&self) -> [u8; Self::LENGTH] {
        let mut bytes = [0; Self::LENGTH];
        bytes[0] = if self.needs_checksum { Self::NEEDS_CHECKSUM } else { 0 };
        bytes[1] = self.kind;
        for (at, word) in [(2, self.head), (4, self.segment), (6, self.checksum_start), (8, self.checksum_offset)] {
            bytes[at..at + 2].copy_from_slice(&word.to_ne_bytes());
        }
        bytes
    }
}
