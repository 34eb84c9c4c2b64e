//! Packets on their way out: one, or the segments of one that the kernel left whole. And how to read a packet's head.

use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

use crate::limits::{OVERHEAD, PADDING};

/// Packets of one destination, not yet written where they will be sealed.
pub trait Packets {
    /// Where they go; none if that cannot be read.
    fn destination(&self) -> Option<IpAddr>;

    /// How many there are.
    fn count(&self) -> usize;

    /// Bytes of packet `at`.
    fn length(&self, at: usize) -> usize;

    /// Writes packet `at` into `room`, which has its length.
    fn write(&self, at: usize, room: &mut [u8]);
}

impl Packets for [u8] {
    fn destination(&self) -> Option<IpAddr> {
        Head::of(self).map(|head| head.destination)
    }

    fn count(&self) -> usize {
        1
    }

    fn length(&self, _: usize) -> usize {
        self.len()
    }

    fn write(&self, _: usize, room: &mut [u8]) {
        room.copy_from_slice(self);
    }
}

/// What the fixed head of an IP packet says (RFC 791 §3.1, RFC 8200 §3).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Head {
    pub(crate) source: IpAddr,
    pub(crate) destination: IpAddr,
    /// Bytes of the packet, head included; its padding is not.
    pub(crate) length: usize,
}

impl Head {
    /// `None` for what is no IP packet, or is cut short.
    pub(crate) fn of(packet: &[u8]) -> Option<Self> {
        let head = match packet.first()? >> 4 {
            4 => {
                let ip = |at: usize| Some(Ipv4Addr::from(<[u8; 4]>::try_from(packet.get(at..at + 4)?).ok()?));
                let length = usize::from(u16::from_be_bytes([*packet.get(2)?, *packet.get(3)?]));
                Self { source: ip(12)?.into(), destination: ip(16)?.into(), length: (length >= 20).then_some(length)? }
            }
            6 => {
                let ip = |at: usize| Some(Ipv6Addr::from(<[u8; 16]>::try_from(packet.get(at..at + 16)?).ok()?));
                let length = usize::from(u16::from_be_bytes([*packet.get(4)?, *packet.get(5)?]));
                Self { source: ip(8)?.into(), destination: ip(24)?.into(), length: length + 40 }
            }
            _ => return None,
        };
        (head.length <= packet.len()).then_some(head)
    }
}

/// Marks an IP packet as one that met congestion (RFC 3168 §5), in place of its loss. `false`, and the packet as it was, if
/// its sender does not heed that.
pub(crate) fn mark_congestion(packet: &mut [u8]) -> bool {
    match packet {
        [first, service, ..] if *first >> 4 == 4 => {
            let (before, marked) = (*service, *service | 0b11);
            if before & 0b11 == 0 || packet.len() < 20 {
                return false;
            }
            // The checksum follows by as much (RFC 1624).
            let checksum = u16::from_be_bytes([packet[10], packet[11]]);
            let sum = u32::from(!checksum) + u32::from(marked - before);
            let checksum = !((sum & 0xffff) + (sum >> 16)) as u16;
            packet[1] = marked;
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
            true
        }
        [first, class, ..] if *first >> 4 == 6 && *class & 0b11_0000 != 0 => {
            *class |= 0b11_0000;
            true
        }
        _ => false,
    }
}

/// Bytes of a packet with its padding (WireGuard paper §5.4.6): never beyond the MTU.
pub(crate) fn padded_length(length: usize, mtu: usize) -> usize {
    length.next_multiple_of(PADDING).min(mtu).max(length)
}

/// Bytes of the message that a packet is sealed into.
pub(crate) fn message_length(length: usize, mtu: usize) -> usize {
    padded_length(length, mtu) + OVERHEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn padding_stays_within_the_mtu() {
        assert_eq!(
            [0, 1, 16, 17, 1_419, 1_420, 2_000].map(|length| padded_length(length, 1_420)),
            [0, 16, 16, 32, 1_420, 1_420, 2_000]
        );
    }

    #[test]
    fn congestion_is_marked_where_its_sender_heeds_it() {
        let sum = |head: &[u8]| {
            let sum: u32 = head.chunks(2).map(|word| u32::from(u16::from_be_bytes([word[0], word[1]]))).sum();
            (sum & 0xffff) + (sum >> 16)
        };
        for (service, checksum) in (0..=255).flat_map(|service| [0x0000, 0x7c01, 0xfffe].map(|sum| (service, sum))) {
            let mut four = [0x45, service, 0, 20, 0, 0, 0x40, 0, 64, 6, 0, 0, 100, 64, 0, 1, 100, 64, 0, 2];
            // Any identification will do that gives this checksum.
            let rest = 0xffff - sum(&four) as u16;
            let identification = rest.wrapping_sub(checksum).wrapping_sub(u16::from(rest < checksum));
            four[4..6].copy_from_slice(&identification.to_be_bytes());
            four[10..12].copy_from_slice(&checksum.to_be_bytes());
            assert_eq!(sum(&four), 0xffff, "as it should be before");
            let before = four;
            let is_marked = mark_congestion(&mut four);
            assert_eq!(is_marked, service & 3 != 0);
            assert_eq!(four[1], if is_marked { service | 3 } else { service });
            assert_eq!(sum(&four), 0xffff, "{before:?} became {four:?}");

            let mut six = [0; 40];
            (six[0], six[1]) = (0x60 | service >> 4, service << 4 | 0xa);
            assert_eq!(mark_congestion(&mut six), service & 3 != 0);
            let marked = if service & 3 == 0 { service } else { service | 3 };
            assert_eq!(six[..2], [0x60 | marked >> 4, marked << 4 | 0xa]);
        }
        for cut in [&mut [][..], &mut [0x45], &mut [0x45, 3], &mut [0x60], &mut [0x50, 3]] {
            assert!(!mark_congestion(cut));
        }
    }

    #[test]
    fn heads_that_are_cut_or_lie_are_none() {
        let mut four = vec![0; 32];
        four[0] = 0x45;
        four[3] = 32;
        assert_eq!(Head::of(&four).map(|head| head.length), Some(32));
        assert_eq!(Head::of(&four[..31]), None, "shorter than it says");
        assert_eq!(Head::of(&four[..19]), None);
        four[3] = 19;
        assert_eq!(Head::of(&four), None, "shorter than its head");
        let mut six = vec![0; 48];
        six[0] = 0x60;
        six[5] = 8;
        assert_eq!(Head::of(&six).map(|head| head.length), Some(48));
        assert_eq!(Head::of(&six[..47]), None);
        assert_eq!(Head::of(&[0x50; 64]), None);
        assert_eq!(Head::of(&[]), None);
    }
}
