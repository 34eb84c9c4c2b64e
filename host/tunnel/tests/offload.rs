//! What the kernel left whole becomes the segments that it stands for; segments become what the kernel takes whole.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

use std::ops::Range;

use proptest::prelude::*;
use servos_tunnel::device::Packets;
use servos_tunnel::offload::{Joinable, Joiner, VirtioHeader, Whole};

const ACK: u8 = 0x10;
const PSH: u8 = 0x08;
const FIN: u8 = 0x01;

/// One's complement sum, word by word (RFC 1071).
fn sum(bytes: &[u8], mut total: u64) -> u16 {
    for pair in bytes.chunks(2) {
        total += u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0));
    }
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[derive(Clone, Copy, Debug)]
struct Shape {
    ipv6: bool,
    tcp: bool,
    options: usize,
}

impl Shape {
    fn transport(self) -> usize {
        if self.ipv6 { 40 } else { 20 }
    }

    fn head(self) -> usize {
        self.transport() + if self.tcp { 20 + self.options } else { 8 }
    }

    fn kind(self) -> u8 {
        match (self.tcp, self.ipv6) {
            (true, false) => VirtioHeader::TCPV4,
            (true, true) => VirtioHeader::TCPV6,
            (false, _) => VirtioHeader::UDP_L4,
        }
    }

    fn pseudo(self, packet: &[u8]) -> u64 {
        let addresses = if self.ipv6 { &packet[8..40] } else { &packet[12..20] };
        let protocol = if self.tcp { 6 } else { 17 };
        u64::from(sum(addresses, 0)) + protocol + (packet.len() - self.transport()) as u64
    }

    /// A packet with right checksums.
    fn packet(self, ports: (u16, u16), sequence: u32, flags: u8, payload: &[u8]) -> Vec<u8> {
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
            let checksum = !sum(&packet[..20], 0);
            packet[10..12].copy_from_slice(&checksum.to_be_bytes());
        }
        packet[at..at + 2].copy_from_slice(&ports.0.to_be_bytes());
        packet[at + 2..at + 4].copy_from_slice(&ports.1.to_be_bytes());
        let field = if self.tcp {
            packet[at + 4..at + 8].copy_from_slice(&sequence.to_be_bytes());
            packet[at + 12] = (((20 + self.options) / 4) << 4) as u8;
            packet[at + 13] = flags;
            packet[at + 20..at + 20 + self.options].fill(1);
            at + 16
        } else {
            packet[at + 4..at + 6].copy_from_slice(&((length - at) as u16).to_be_bytes());
            at + 6
        };
        packet[self.head()..].copy_from_slice(payload);
        let checksum = !sum(&packet[at..], self.pseudo(&packet));
        packet[field..field + 2].copy_from_slice(&(if checksum == 0 { 0xffff } else { checksum }).to_be_bytes());
        packet
    }

    fn is_right(self, packet: &[u8]) -> bool {
        let head = self.ipv6 || sum(&packet[..20], 0) == 0xffff;
        head && sum(&packet[self.transport()..], self.pseudo(packet)) == 0xffff
    }
}

fn shapes() -> impl Strategy<Value = Shape> {
    (any::<bool>(), any::<bool>(), 0_usize..=10).prop_map(|(ipv6, tcp, options)| Shape {
        ipv6,
        tcp,
        options: options * 4,
    })
}

/// Packets one behind the other, and where they lie.
fn lay_out(packets: &[Vec<u8>]) -> (Vec<u8>, Vec<Range<usize>>) {
    let (mut bytes, mut ranges) = (Vec::new(), Vec::new());
    for packet in packets {
        // As they lie after opening: a header before, a tag behind.
        bytes.extend([0xee; 16]);
        ranges.push(bytes.len()..bytes.len() + packet.len());
        bytes.extend(packet);
        bytes.extend([0xee; 16]);
    }
    (bytes, ranges)
}

fn segments(whole: &Whole<'_>) -> Vec<Vec<u8>> {
    (0..whole.count())
        .map(|at| {
            let mut room = vec![0xaa; whole.length(at)];
            whole.write(at, &mut room);
            room
        })
        .collect()
}

proptest! {
    #[test]
    fn split_then_joined_is_the_same(
        shape in shapes(), payload in prop::collection::vec(any::<u8>(), 1..20_000), segment in 400_usize..1_400,
        sequence: u32, last in any::<bool>(),
    ) {
        let flags = ACK | if last { PSH } else { 0 };
        let mut packet = shape.packet((1, 2), sequence, flags, &payload);
        let before = packet.clone();
        let header = VirtioHeader {
            needs_checksum: true,
            kind: shape.kind(),
            head: 0,
            segment: segment as u16,
            checksum_start: shape.transport() as u16,
            checksum_offset: if shape.tcp { 16 } else { 6 },
        };
        let whole = Whole::read(header, &mut packet).unwrap();
        let pieces = segments(&whole);
        prop_assert_eq!(pieces.len(), payload.len().div_ceil(segment));
        let mut found = Vec::new();
        for (at, piece) in pieces.iter().enumerate() {
            prop_assert!(shape.is_right(piece), "segment {}", at);
            found.extend_from_slice(&piece[shape.head()..]);
            if shape.tcp {
                let at_tcp = shape.transport();
                let expected = sequence.wrapping_add((at * segment) as u32);
                prop_assert_eq!(&piece[at_tcp + 4..at_tcp + 8], &expected.to_be_bytes());
                let pushes = piece[at_tcp + 13] & PSH != 0;
                prop_assert_eq!(pushes, last && at + 1 == pieces.len());
            }
        }
        prop_assert_eq!(&found, &payload);

        let (mut bytes, ranges) = lay_out(&pieces);
        let mut joiner = Joiner::new(Joinable::TcpAndUdp);
        let joined = joiner.join(&mut bytes, &ranges);
        prop_assert_eq!(joined.len(), 1);
        let joined = &joined[0];
        prop_assert_eq!(joined.payloads.len() + 1, pieces.len());
        let mut whole = bytes[joined.first.clone()].to_vec();
        for payload in &joined.payloads {
            whole.extend_from_slice(&bytes[payload.clone()]);
        }
        if pieces.len() == 1 {
            prop_assert_eq!(joined.header, VirtioHeader::default());
            prop_assert_eq!(&whole, &before);
        } else {
            prop_assert_eq!(joined.header.kind, shape.kind());
            prop_assert_eq!(usize::from(joined.header.segment), segment);
            prop_assert_eq!(usize::from(joined.header.head), shape.head());
            // The kernel completes the checksum.
            let at = shape.transport();
            let field = at + usize::from(joined.header.checksum_offset);
            prop_assert_eq!(u16::from_be_bytes([whole[field], whole[field + 1]]), sum(&[], shape.pseudo(&whole)));
            let checksum = !sum(&whole[at..], 0);
            whole[field..field + 2].copy_from_slice(&(if checksum == 0 { 0xffff } else { checksum }).to_be_bytes());
            prop_assert!(shape.is_right(&whole));
            prop_assert_eq!(&whole, &before);
        }
    }

    #[test]
    fn whatever_comes_no_packet_is_lost_doubled_or_overtaken(
        steps in prop::collection::vec((0_u16..4, 0_usize..6, 0_u8..12, any::<bool>()), 0..120),
    ) {
        let shape = |port: u16| Shape { ipv6: port % 2 == 1, tcp: port < 3, options: 12 };
        let mut sequences = [0_u32; 4];
        let mut packets = Vec::new();
        for (at, (port, size, accident, psh)) in steps.iter().enumerate() {
            let payload = vec![at as u8; [0, 1, 700, 700, 700, 1_300][*size]];
            let flags = match accident {
                0 => ACK | FIN,
                1 => 0x04,
                _ => ACK | if *psh && *size == 1 { PSH } else { 0 },
            };
            let sequence = &mut sequences[usize::from(*port)];
            let mut packet = shape(*port).packet((*port, 9), *sequence, flags, &payload);
            match accident {
                2 => *sequence = sequence.wrapping_add(5),
                3 => {
                    let last = packet.len() - 1;
                    packet[last] ^= 0x55;
                }
                _ => *sequence = sequence.wrapping_add(payload.len() as u32),
            }
            packets.push((*port, payload, packet));
        }
        let (mut bytes, ranges) = lay_out(&packets.iter().map(|(_, _, packet)| packet.clone()).collect::<Vec<_>>());
        let mut joiner = Joiner::new(Joinable::TcpAndUdp);
        let mut found: Vec<Vec<Vec<u8>>> = vec![Vec::new(); 4];
        let mut count = 0;
        for joined in joiner.join(&mut bytes, &ranges) {
            let first = bytes[joined.first.clone()].to_vec();
            let ipv6 = first[0] >> 4 == 6;
            let at = if ipv6 { 40 } else { 20 };
            let port = u16::from_be_bytes([first[at], first[at + 1]]);
            let flow = &mut found[usize::from(port)];
            flow.push(first[shape(port).head()..].to_vec());
            flow.extend(joined.payloads.iter().map(|range| bytes[range.clone()].to_vec()));
            count += 1 + joined.payloads.len();
            let total = first.len() + joined.payloads.iter().map(|range| range.len()).sum::<usize>();
            prop_assert!(total <= 65_535);
        }
        prop_assert_eq!(count, packets.len());
        for port in 0..4 {
            let mut sent: Vec<Vec<u8>> = Vec::new();
            for (of, _, packet) in &packets {
                if *of == port {
                    sent.push(packet[shape(port).head()..].to_vec());
                }
            }
            prop_assert_eq!(&found[usize::from(port)], &sent, "flow {}", port);
        }
    }

    #[test]
    fn nonsense_is_refused_or_passed_on_whole(bytes in prop::collection::vec(any::<u8>(), 0..200), header: [u8; 10]) {
        let mut packet = bytes.clone();
        let header = VirtioHeader::read(&header);
        if let Some(whole) = Whole::read(header, &mut packet) {
            for at in 0..whole.count() {
                let mut room = vec![0; whole.length(at)];
                whole.write(at, &mut room);
            }
        }
        let (mut laid, ranges) = lay_out(&[bytes.clone(), bytes]);
        prop_assert!((1..=2).contains(&Joiner::new(Joinable::TcpAndUdp).join(&mut laid, &ranges).len()));
    }
}

#[test]
fn a_checksum_that_was_left_out_is_completed() {
    let shape = Shape { ipv6: false, tcp: true, options: 0 };
    let mut packet = shape.packet((1, 2), 3, ACK, b"odd");
    let right = packet.clone();
    let partial = sum(&[], shape.pseudo(&packet));
    packet[36..38].copy_from_slice(&partial.to_be_bytes());
    let header = VirtioHeader { needs_checksum: true, checksum_start: 20, checksum_offset: 16, ..Default::default() };
    let whole = Whole::read(header, &mut packet).unwrap();
    assert_eq!(segments(&whole), [right]);
}

#[test]
fn a_wrong_checksum_is_not_hidden() {
    let shape = Shape { ipv6: false, tcp: true, options: 0 };
    let one = shape.packet((1, 2), 0, ACK, &[1; 100]);
    let mut two = shape.packet((1, 2), 100, ACK, &[2; 100]);
    *two.last_mut().unwrap() ^= 1;
    for packets in [[one.clone(), two.clone()], [two, one]] {
        let (mut bytes, ranges) = lay_out(&packets);
        assert_eq!(Joiner::new(Joinable::TcpAndUdp).join(&mut bytes, &ranges).len(), 2);
        assert_eq!(bytes, lay_out(&packets).0, "nothing was changed");
    }
}

#[test]
fn a_wrong_checksum_of_the_ip_head_is_not_hidden_either() {
    let shape = Shape { ipv6: false, tcp: true, options: 0 };
    let one = shape.packet((1, 2), 0, ACK, &[1; 100]);
    let mut two = shape.packet((1, 2), 100, ACK, &[2; 100]);
    two[10] ^= 1;
    for packets in [[one.clone(), two.clone()], [two, one]] {
        let (mut bytes, ranges) = lay_out(&packets);
        assert_eq!(Joiner::new(Joinable::TcpAndUdp).join(&mut bytes, &ranges).len(), 2);
        assert_eq!(bytes, lay_out(&packets).0, "nothing was changed");
    }
}

#[test]
fn reserved_bits_of_tcp_are_not_lost() {
    let shape = Shape { ipv6: false, tcp: true, options: 0 };
    let one = shape.packet((1, 2), 0, ACK, &[1; 100]);
    let mut two = shape.packet((1, 2), 100, ACK, &[2; 100]);
    // Accurate ECN (RFC 9768) uses one of them.
    two[32] |= 1;
    two[36..38].fill(0);
    let checksum = !sum(&two[20..], shape.pseudo(&two));
    two[36..38].copy_from_slice(&checksum.to_be_bytes());
    assert!(shape.is_right(&two));
    let (mut bytes, ranges) = lay_out(&[one, two]);
    assert_eq!(Joiner::new(Joinable::TcpAndUdp).join(&mut bytes, &ranges).len(), 2);
}
