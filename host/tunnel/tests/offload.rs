//! What the kernel left whole becomes the segments that it stands for; segments become what the kernel takes whole.

#[path = "support/packets.rs"]
mod packets;

use packets::{ACK, PSH, Shape, is_right, lay_out, make_right, pseudo, segments, sum};
use proptest::prelude::*;
use servos_tunnel::device::Packets;
use servos_tunnel::offload::{Joinable, Joiner, VirtioHeader, Whole};

const FIN: u8 = 0x01;

fn shapes() -> impl Strategy<Value = Shape> {
    (any::<bool>(), any::<bool>(), 0_usize..=10).prop_map(|(ipv6, tcp, options)| Shape {
        ipv6,
        tcp,
        options: options * 4,
    })
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
            prop_assert!(is_right(piece), "segment {}", at);
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
        let mut shorter = whole;
        for left_out in 1..=pieces.len() + 1 {
            shorter.leave_out_first();
            prop_assert_eq!(&segments(&shorter)[..], pieces.get(left_out..).unwrap_or_default());
        }

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
            prop_assert_eq!(u16::from_be_bytes([whole[field], whole[field + 1]]), sum(&[], pseudo(&whole)));
            let checksum = !sum(&whole[at..], 0);
            whole[field..field + 2].copy_from_slice(&(if checksum == 0 { 0xffff } else { checksum }).to_be_bytes());
            prop_assert!(is_right(&whole));
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
    let partial = sum(&[], pseudo(&packet));
    packet[36..38].copy_from_slice(&partial.to_be_bytes());
    let header = VirtioHeader { needs_checksum: true, checksum_start: 20, checksum_offset: 16, ..Default::default() };
    let mut whole = Whole::read(header, &mut packet).unwrap();
    assert_eq!(segments(&whole), [right]);
    whole.leave_out_first();
    assert!(segments(&whole).is_empty());
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
    make_right(&mut two);
    let (mut bytes, ranges) = lay_out(&[one, two]);
    assert_eq!(Joiner::new(Joinable::TcpAndUdp).join(&mut bytes, &ranges).len(), 2);
}
