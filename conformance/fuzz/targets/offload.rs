//! Splitting and joining, one against the other: what is joined splits into what it was joined of; what is split is
//! whole, in order, with right checksums; nothing is lost, doubled, overtaken or made right that was wrong.

#![no_main]

use arbitrary::Arbitrary;
use libfuzzer_sys::fuzz_target;
use servos_fuzz::packets::{ACK, PSH, Shape, is_right, lay_out, layout, make_right, pseudo, segments, sum};
use servos_tunnel::offload::{Joinable, Joined, Joiner, VirtioHeader, Whole};

#[derive(Arbitrary, Debug)]
enum Input {
    /// Whatever the interface may give.
    Nonsense { header: [u8; VirtioHeader::LENGTH], packet: Vec<u8> },
    /// A packet that the kernel left whole.
    Large { parts: Parts, segment: u16, payload: u16 },
    /// Packets that were opened.
    Opened { udp: bool, packets: Vec<Packet> },
}

#[derive(Arbitrary, Debug)]
struct Packet {
    parts: Parts,
    /// It goes on where the one before it in its flow ended.
    follows: bool,
    /// A byte that is changed after the checksums were made.
    damage: Option<(u16, u8)>,
}

/// What a packet is made of.
#[derive(Arbitrary, Clone, Debug)]
struct Parts {
    ipv6: bool,
    tcp: bool,
    /// Words of TCP options.
    options: u8,
    /// One of few flows.
    port: bool,
    /// Type of service or class, time to live or hop limit: one of few.
    service: u8,
    identification: u16,
    flags: u8,
    sequence: u32,
    payload: u16,
}

fuzz_target!(|input: Input| match input {
    Input::Nonsense { header, mut packet } => {
        let mut again = packet.clone();
        if let Some(whole) = Whole::read(VirtioHeader::read(&header), &mut packet) {
            segments(&whole);
        }
        let range = 0..again.len();
        Joiner::new(Joinable::TcpAndUdp).join(&mut again, &[range]);
    }
    Input::Large { parts, segment, payload } => large(&parts, segment, payload),
    Input::Opened { udp, packets } => opened(udp, &packets),
});

impl Parts {
    fn shape(&self) -> Shape {
        Shape { ipv6: self.ipv6, tcp: self.tcp, options: usize::from(self.options % 11) * 4 }
    }

    /// The packet, with right checksums, its payload of `payload` bytes counted on from `fill`.
    fn packet(&self, payload: usize, fill: u8) -> Vec<u8> {
        let payload: Vec<u8> = (0..payload).map(|byte| fill.wrapping_add(byte as u8)).collect();
        let mut packet = self.shape().packet((self.port.into(), 9), self.sequence, self.flags, &payload);
        let at = self.shape().transport();
        packet[1] = self.service & 3;
        if self.ipv6 {
            packet[7] -= self.service >> 2 & 1;
        } else {
            packet[4..6].copy_from_slice(&self.identification.to_be_bytes());
            packet[6] = if self.service & 8 == 0 { 0x40 } else { 0 };
            packet[8] -= self.service >> 2 & 1;
        }
        if self.tcp {
            packet[at + 12] |= self.service >> 4 & 1;
            packet[at + 15] = self.service >> 5 & 1;
        }
        make_right(&mut packet);
        packet
    }
}

fn large(parts: &Parts, segment: u16, payload: u16) {
    let shape = parts.shape();
    let payload = usize::from(payload).min(65_535 - shape.head()).max(1);
    let packet = parts.packet(payload, 0);
    let header = VirtioHeader {
        needs_checksum: true,
        kind: shape.kind(),
        segment: segment.max(1),
        checksum_start: shape.transport() as u16,
        ..VirtioHeader::default()
    };
    let pieces = segments(&Whole::read(header, &mut packet.clone()).expect("a sane packet"));
    assert_eq!(pieces.len(), payload.div_ceil(usize::from(header.segment)));
    let mut whole = Vec::new();
    for piece in &pieces {
        assert!(is_right(piece));
        whole.extend_from_slice(&piece[shape.head()..]);
    }
    assert!(whole == packet[shape.head()..], "the payload is another");
}

fn opened(udp: bool, packets: &[Packet]) {
    let packets = made(packets);
    let (mut bytes, ranges) = lay_out(&packets);
    let before = bytes.clone();
    let mut joiner = Joiner::new(if udp { Joinable::TcpAndUdp } else { Joinable::Tcp });
    let mut place = ranges.iter().enumerate().map(|(at, range)| (range.start, at)).collect::<Vec<_>>();
    place.sort_unstable();
    let of = |start: usize| place[place.partition_point(|(begin, _)| *begin <= start) - 1].1;
    let mut seen = vec![false; packets.len()];
    let mut order: Vec<usize> = Vec::new();
    for joined in joiner.join(&mut bytes, &ranges) {
        let members: Vec<usize> = std::iter::once(of(joined.first.start))
            .chain(joined.payloads.iter().map(|range| of(range.start)))
            .collect();
        for member in &members {
            assert!(!std::mem::replace(&mut seen[*member], true), "doubled");
        }
        order.extend(&members);
        if members.len() == 1 {
            assert_eq!(joined.header, VirtioHeader::default());
            let range = joined.first.clone();
            assert!(bytes[range.clone()] == before[range], "changed though it is alone");
            continue;
        }
        let pieces = split_again(joined, &bytes);
        assert_eq!(pieces.len(), members.len());
        for (at, (piece, member)) in pieces.iter().zip(&members).enumerate() {
            let original = &packets[*member];
            assert!(is_right(original), "a wrong checksum was hidden");
            assert!(is_right(piece));
            assert_eq!(alike(piece), alike(original), "segment {at}");
        }
        // A push of one in the middle would have ended it.
        let pushes = |packet: &[u8]| layout(packet).1 == 6 && packet[layout(packet).0 + 13] & PSH != 0;
        assert!(members.iter().rev().skip(1).all(|member| !pushes(&packets[*member])));
        assert_eq!(pushes(pieces.last().expect("two or more")), pushes(&packets[members[members.len() - 1]]));
    }
    assert!(seen.into_iter().all(|seen| seen), "lost");
    // Within a flow the order is the one that they came in.
    for (place, one) in order.iter().enumerate() {
        for other in order[..place].iter().filter(|other| *other > one) {
            assert!(flow(&packets[*one]) != flow(&packets[*other]), "{other} overtook {one}");
        }
    }
}

/// The packets, sequence numbers going on where they shall.
fn made(packets: &[Packet]) -> Vec<Vec<u8>> {
    let mut next = [0_u32; 4];
    packets
        .iter()
        .map(|packet| {
            let mut parts = packet.parts.clone();
            let flow = &mut next[usize::from(parts.ipv6) * 2 + usize::from(parts.port)];
            let payload = usize::from(parts.payload % 1_500);
            if packet.follows {
                parts.sequence = *flow;
                parts.flags = ACK | parts.flags & PSH;
            }
            *flow = parts.sequence.wrapping_add(payload as u32);
            let mut made = parts.packet(payload, parts.sequence as u8);
            if let Some((at, by)) = packet.damage {
                // What tells a packet's length and kind was checked before.
                let from = if parts.ipv6 { 8 } else { 10 };
                let at = from + usize::from(at) % (made.len() - from);
                let (transport, protocol, _) = layout(&made);
                if at != transport + 12 || protocol != 6 {
                    made[at] ^= by;
                }
            }
            made
        })
        .collect()
}

/// What joining one must leave as it was: all but identification, push and checksums.
fn alike(packet: &[u8]) -> Vec<u8> {
    let (at, protocol, _) = layout(packet);
    let mut alike = packet.to_vec();
    if packet[0] >> 4 == 4 {
        alike[4..6].fill(0);
        alike[10..12].fill(0);
    }
    if protocol == 6 {
        alike[at + 13] &= !PSH;
        alike[at + 16..at + 18].fill(0);
    } else {
        alike[at + 6..at + 8].fill(0);
    }
    alike
}

fn flow(packet: &[u8]) -> (u8, &[u8], &[u8]) {
    let (at, protocol, _) = layout(packet);
    let addresses = if packet[0] >> 4 == 6 { &packet[8..40] } else { &packet[12..20] };
    (protocol, addresses, &packet[at..at + 4])
}

/// What the kernel makes of a joined packet, and what it would be split into again.
fn split_again(joined: &Joined, bytes: &[u8]) -> Vec<Vec<u8>> {
    let mut whole = bytes[joined.first.clone()].to_vec();
    for payload in &joined.payloads {
        whole.extend_from_slice(&bytes[payload.clone()]);
    }
    let header = joined.header;
    let (at, protocol, head) = layout(&whole);
    assert!(whole.len() <= 65_535 && joined.payloads.len() <= Joined::MAX_PAYLOADS);
    assert_eq!((usize::from(header.head), usize::from(header.checksum_start)), (head, at));
    let shape = Shape { ipv6: whole[0] >> 4 == 6, tcp: protocol == 6, options: 0 };
    assert_eq!(header.kind, shape.kind());
    assert!(whole[0] >> 4 == 6 || sum(&whole[..20], 0) == 0xffff, "the checksum of the joined head");
    let field = at + usize::from(header.checksum_offset);
    assert_eq!(u16::from_be_bytes([whole[field], whole[field + 1]]), sum(&[], pseudo(&whole)));
    segments(&Whole::read(header, &mut whole).expect("what was joined can be split"))
}
