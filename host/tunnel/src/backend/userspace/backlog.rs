//! Packets of the interface that wait to be sealed, flow by flow.
//!
//! The kernel's queue of an interface is one line: behind the megabytes that one stream has in it, all others would wait.
//! So it is emptied whenever there is something in it, and flows take turns here, as in FQ-CoDel (RFC 8290 §4.1): whoever
//! comes anew goes before those who had their turn, and none has more than [`BACKLOG_QUANTUM`] bytes in a turn. Beyond
//! [`BACKLOG_BYTES`] in all the flow that has most loses what waited longest.
//!
//! What one flow has under way still delays others behind the tunnel, where they cannot be told apart. So a flow whose
//! packets wait too long for a while loses one now and then, which tells its sender.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hasher as _};
use std::io;
use std::ops::Range;
use std::time::Instant;

use super::codel::Codel;
use crate::limits::{BACKLOG_BYTES, BACKLOG_FLOWS, BACKLOG_PACKETS, BACKLOG_QUANTUM};
use crate::offload::VirtioHeader;

/// Bytes of the longest packet that the kernel hands over before segmentation, with its offload header.
const UNSEGMENTED: usize = 65_535 + VirtioHeader::LENGTH;

/// Packets up to so many bytes, with their offload header, wait in a buffer that is no longer: one that a usual network
/// carries. A long one, resident where it was ever filled, takes two pages for an acknowledgement.
const SHORT: usize = 2_048;

/// See the module.
pub(super) struct Backlog {
    short: Buffers,
    long: Buffers,
    flows: Vec<Flow>,
    /// Flows that came anew, and those that had a turn.
    anew: VecDeque<usize>,
    again: VecDeque<usize>,
    /// In all flows.
    bytes: usize,
}

#[derive(Default)]
struct Flow {
    waiting: VecDeque<Waiting>,
    bytes: usize,
    /// Bytes that are left of its turn; below 0 if the last packet was longer.
    credit: isize,
    /// In `anew` or in `again`.
    has_turns: bool,
    codel: Codel,
}

/// One packet, whole or to be segmented.
pub(super) struct Waiting {
    buffer: Box<[u8]>,
    header: VirtioHeader,
    packet: Range<usize>,
    /// When it was read.
    since: Instant,
    /// Whether its flow should hear of how long it waited.
    pub(super) is_late: bool,
}

impl Waiting {
    pub(super) fn parts(&mut self) -> (VirtioHeader, &mut [u8]) {
        (self.header, &mut self.buffer[self.packet.clone()])
    }

    pub(super) fn len(&self) -> usize {
        self.packet.len()
    }
}

/// Buffers of one length.
struct Buffers {
    length: usize,
    /// Those without a packet; the one that was used last comes first, being in the processor's cache.
    free: Vec<Box<[u8]>>,
    /// How many hold a packet, be it that it was taken out and they did not come back.
    used: usize,
}

impl Buffers {
    fn of(length: usize) -> Self {
        Self { length, free: Vec::new(), used: 0 }
    }

    fn take(&mut self) -> Box<[u8]> {
        self.used += 1;
        self.free.pop().unwrap_or_else(|| vec![0; self.length].into())
    }

    fn give_back(&mut self, buffer: Box<[u8]>) {
        self.used -= 1;
        self.free.push(buffer);
    }
}

impl Default for Backlog {
    fn default() -> Self {
        Self {
            short: Buffers::of(SHORT),
            long: Buffers::of(UNSEGMENTED),
            flows: std::iter::repeat_with(Flow::default).take(BACKLOG_FLOWS).collect(),
            anew: VecDeque::new(),
            again: VecDeque::new(),
            bytes: 0,
        }
    }
}

impl Backlog {
    pub(super) fn is_empty(&self) -> bool {
        self.packets() == 0
    }

    fn packets(&self) -> usize {
        self.short.used + self.long.used
    }

    /// Whether packets of one flow alone came of late.
    pub(super) fn is_one_flow(&self) -> bool {
        self.anew.len() + self.again.len() <= 1
    }

    /// Whether another packet may be read. What is not read waits in the kernel.
    pub(super) fn has_room(&self) -> bool {
        self.packets() < BACKLOG_PACKETS
    }

    /// Lets `read` read one into a buffer, of which it says where the packet lies. Only where there is room.
    pub(super) fn read(
        &mut self,
        now: Instant,
        read: impl FnOnce(&mut [u8]) -> io::Result<(VirtioHeader, Range<usize>)>,
    ) -> io::Result<()> {
        let mut long = self.long.take();
        let read = read(&mut long);
        let (header, packet, buffer) = match read {
            Ok((header, packet)) if packet.end > SHORT => (header, packet, long),
            Ok((header, packet)) => {
                let mut short = self.short.take();
                short[packet.clone()].copy_from_slice(&long[packet.clone()]);
                self.long.give_back(long);
                (header, packet, short)
            }
            Err(error) => {
                self.long.give_back(long);
                return Err(error);
            }
        };
        self.put(Waiting { buffer, header, packet, since: now, is_late: false });
        Ok(())
    }

    fn put(&mut self, waiting: Waiting) {
        let at = flow_of(&waiting.buffer[waiting.packet.clone()]) as usize % BACKLOG_FLOWS;
        let flow = &mut self.flows[at];
        flow.bytes += waiting.len();
        self.bytes += waiting.len();
        flow.waiting.push_back(waiting);
        if !flow.has_turns {
            (flow.has_turns, flow.credit) = (true, BACKLOG_QUANTUM);
            self.anew.push_back(at);
        }
    }

    /// The packet whose turn it is.
    pub(super) fn next(&mut self, now: Instant) -> Option<Waiting> {
        loop {
            let is_anew = !self.anew.is_empty();
            let turns = if is_anew { &mut self.anew } else { &mut self.again };
            let at = turns.pop_front()?;
            let flow = &mut self.flows[at];
            if flow.credit <= 0 {
                flow.credit += BACKLOG_QUANTUM;
                self.again.push_back(at);
            } else if !flow.waiting.is_empty() {
                turns.push_front(at);
                let mut waiting = self.oldest_of(at)?;
                let flow = &mut self.flows[at];
                flow.credit -= waiting.len() as isize;
                waiting.is_late = flow.codel.is_due(now, now.duration_since(waiting.since), flow.bytes);
                return Some(waiting);
            } else if is_anew && !self.again.is_empty() {
                // One that comes anew again and again does not keep the others from their turns.
                self.again.push_back(at);
            } else {
                flow.has_turns = false;
            }
        }
    }

    /// Takes out what is too much.
    pub(super) fn shed(&mut self) -> Option<Waiting> {
        if self.bytes <= BACKLOG_BYTES {
            return None;
        }
        let at = *self.anew.iter().chain(&self.again).max_by_key(|at| self.flows[**at].bytes)?;
        self.oldest_of(at)
    }

    fn oldest_of(&mut self, at: usize) -> Option<Waiting> {
        let flow = &mut self.flows[at];
        let waiting = flow.waiting.pop_front()?;
        flow.bytes -= waiting.len();
        self.bytes -= waiting.len();
        Some(waiting)
    }

    /// Takes back the buffer of one that was taken out.
    pub(super) fn give_back(&mut self, waiting: Waiting) {
        let buffers = if waiting.buffer.len() == SHORT { &mut self.short } else { &mut self.long };
        buffers.give_back(waiting.buffer);
    }
}

/// A number that is the same for all packets of a flow: of protocol, addresses, and ports where each of its packets has
/// them.
fn flow_of(packet: &[u8]) -> u64 {
    const TCP_UDP_SCTP: [u8; 3] = [6, 17, 132];
    let (addresses, protocol, ports) = match packet {
        [first, ..] if first >> 4 == 4 && packet.len() >= 20 => {
            // Of the fragments of one packet the first alone has them.
            let is_fragment = u16::from_be_bytes([packet[6], packet[7]]) & 0x3fff != 0;
            let transport = usize::from(first & 0xf) * 4;
            (&packet[12..20], packet[9], (!is_fragment).then(|| packet.get(transport..transport + 4)).flatten())
        }
        [first, ..] if first >> 4 == 6 && packet.len() >= 40 => (&packet[8..40], packet[6], packet.get(40..44)),
        _ => return 0,
    };
    let mut hasher = DefaultHasher::new();
    hasher.write(addresses);
    hasher.write_u8(protocol);
    if let Some(ports) = ports.filter(|_| TCP_UDP_SCTP.contains(&protocol)) {
        hasher.write(ports);
    }
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use proptest::prelude::*;

    use super::*;

    const UDP: u8 = 17;

    /// Puts a UDP packet of `length` bytes into the backlog: of the flow from `port`, marked with `number` at its end.
    fn put(backlog: &mut Backlog, port: u16, number: u8, length: usize) {
        put_at(backlog, Instant::now(), port, number, length);
    }

    fn put_at(backlog: &mut Backlog, now: Instant, port: u16, number: u8, length: usize) {
        let put = |room: &mut [u8]| {
            room[..length].fill(0);
            (room[0], room[9]) = (0x45, UDP);
            room[20..22].copy_from_slice(&port.to_be_bytes());
            room[length - 1] = number;
            Ok((VirtioHeader::default(), 0..length))
        };
        backlog.read(now, put).unwrap();
    }

    /// Port and number of one that was taken out, whose buffer goes back.
    fn named(backlog: &mut Backlog, mut waiting: Waiting) -> (u16, u8) {
        let (_, packet) = waiting.parts();
        let name = (u16::from_be_bytes([packet[20], packet[21]]), packet[packet.len() - 1]);
        backlog.give_back(waiting);
        name
    }

    fn next(backlog: &mut Backlog) -> Option<(u16, u8)> {
        let waiting = backlog.next(Instant::now())?;
        Some(named(backlog, waiting))
    }

    fn shed(backlog: &mut Backlog) -> Option<(u16, u8)> {
        let waiting = backlog.shed()?;
        Some(named(backlog, waiting))
    }

    #[test]
    fn a_lone_packet_does_not_wait_behind_a_stream() {
        let mut backlog = Backlog::default();
        (0..20).for_each(|number| put(&mut backlog, 1, number, 60_000));
        assert_eq!(next(&mut backlog), Some((1, 0)));
        put(&mut backlog, 2, 0, 84);
        // The stream has some bytes left of its turn.
        assert_eq!(next(&mut backlog), Some((1, 1)));
        assert_eq!(next(&mut backlog), Some((2, 0)));
        assert_eq!(next(&mut backlog), Some((1, 2)));
    }

    #[test]
    fn whoever_comes_anew_again_and_again_lets_others_have_their_turns() {
        let mut backlog = Backlog::default();
        (0..4).for_each(|number| put(&mut backlog, 1, number, 60_000));
        let turns: Vec<u16> = (0..8)
            .map(|number| {
                put(&mut backlog, 2, number, 60_000);
                next(&mut backlog).unwrap().0
            })
            .collect();
        assert_eq!(turns.iter().filter(|port| **port == 1).count(), 4, "{turns:?}");
    }

    #[test]
    fn one_flow_is_one_until_another_comes_and_again_when_that_is_gone() {
        let mut backlog = Backlog::default();
        (0..4).for_each(|number| put(&mut backlog, 1, number, 60_000));
        assert!(backlog.is_one_flow());
        put(&mut backlog, 2, 0, 84);
        assert!(!backlog.is_one_flow());
        while next(&mut backlog).is_some() {}
        put(&mut backlog, 1, 4, 60_000);
        assert!(backlog.is_one_flow());
    }

    #[test]
    fn what_is_too_much_is_of_the_flow_that_has_most() {
        let mut backlog = Backlog::default();
        put(&mut backlog, 2, 0, 84);
        let mut number = 0;
        while backlog.bytes + 60_000 <= BACKLOG_BYTES {
            put(&mut backlog, 1, number, 60_000);
            number += 1;
        }
        assert_eq!(shed(&mut backlog), None);
        put(&mut backlog, 3, 0, 60_000);
        assert_eq!(shed(&mut backlog), Some((1, 0)));
        assert_eq!(shed(&mut backlog), None);
        assert!(backlog.bytes <= BACKLOG_BYTES);
    }

    #[test]
    fn a_flow_that_waits_too_long_hears_of_it_and_others_do_not() {
        let (mut backlog, mut now) = (Backlog::default(), Instant::now());
        let mut late = [0; 2];
        for _ in 0..40 {
            // One has a queue that stands, the other comes as it goes.
            while backlog.bytes < 10 * 60_000 {
                put_at(&mut backlog, now, 1, 0, 60_000);
            }
            put_at(&mut backlog, now, 2, 0, 1_000);
            for _ in 0..2 {
                now += Duration::from_micros(500);
                let waiting = backlog.next(now).unwrap();
                let is_late = waiting.is_late;
                let (port, _) = named(&mut backlog, waiting);
                late[usize::from(port - 1)] += u32::from(is_late);
            }
        }
        assert!(late[0] > 3 && late[1] == 0, "{late:?}");
    }

    #[test]
    fn what_has_no_room_waits_in_the_kernel() {
        let mut backlog = Backlog::default();
        while backlog.has_room() {
            put(&mut backlog, 1, 0, 84);
        }
        assert_eq!(backlog.packets(), BACKLOG_PACKETS);
        next(&mut backlog).unwrap();
        assert!(backlog.has_room());
        assert!(backlog.read(Instant::now(), |_| Err(io::ErrorKind::WouldBlock.into())).is_err());
        assert!(backlog.has_room(), "a read that failed keeps its buffer");
    }

    #[test]
    fn short_packets_wait_in_short_buffers_and_all_come_out_as_they_were() {
        let mut backlog = Backlog::default();
        let lengths = [84, SHORT - 1, SHORT, SHORT + 1, 60_000, 84];
        for round in 0..3 {
            for (number, length) in lengths.into_iter().enumerate() {
                put(&mut backlog, 1, number as u8, length);
            }
            assert_eq!((backlog.short.used, backlog.long.used), (4, 2));
            for (number, length) in lengths.into_iter().enumerate() {
                let mut waiting = backlog.next(Instant::now()).unwrap();
                let (_, packet) = waiting.parts();
                assert_eq!(
                    (packet[0], packet.len(), usize::from(packet[length - 1])),
                    (0x45, length, number),
                    "{round}"
                );
                assert_eq!(packet[22..length - 1], vec![0; length - 23], "{round}");
                backlog.give_back(waiting);
            }
        }
        assert_eq!((backlog.short.free.len(), backlog.long.free.len()), (4, 2 + 1), "used again and again");
    }

    #[test]
    fn a_flow_is_one_whatever_its_packets_carry() {
        let four = |protocol: u8, flags: u8, ports: [u8; 4]| {
            let mut packet = vec![0x45, 0, 0, 24, 0, 0, flags, 0, 64, protocol, 0, 0, 10, 0, 0, 1, 10, 0, 0, 2];
            packet.extend(ports);
            flow_of(&packet)
        };
        let six = |protocol: u8, ports: [u8; 4]| {
            let mut packet = vec![0; 44];
            (packet[0], packet[6]) = (0x60, protocol);
            packet[40..].copy_from_slice(&ports);
            flow_of(&packet)
        };
        for flow in [&|ports| four(UDP, 0x40, ports), &|ports| six(UDP, ports)] as [&dyn Fn([u8; 4]) -> u64; 2] {
            assert_eq!(flow([1, 2, 3, 4]), flow([1, 2, 3, 4]));
            assert_ne!(flow([1, 2, 3, 4]), flow([1, 2, 3, 5]));
        }
        let more = 0x20;
        assert_eq!(four(UDP, more, [1, 2, 3, 4]), four(UDP, more, [5, 6, 7, 8]), "fragments have no ports");
        let (icmp, esp) = (1, 50);
        assert_eq!(four(icmp, 0, [8, 0, 1, 1]), four(icmp, 0, [0, 0, 2, 2]));
        assert_eq!(six(esp, [1; 4]), six(esp, [2; 4]));
        for cut in 0..24 {
            flow_of(&[0x4f; 24][..cut]);
            flow_of(&[0x60; 24][..cut]);
        }
    }

    proptest! {
        #[test]
        fn each_packet_comes_out_once_and_each_flow_in_order(
            steps in prop::collection::vec((0_u16..6, 84_usize..65_000, 0_usize..4), 1..400),
        ) {
            let mut backlog = Backlog::default();
            let (mut sent, mut waits) = ([0_u8; 6], 0_usize);
            let mut expected = [0_u8; 6];
            let mut came = |(port, number): (u16, u8)| {
                let expected = &mut expected[usize::from(port)];
                let was = *expected;
                *expected = expected.wrapping_add(1);
                number == was
            };
            for (port, length, takes) in steps {
                if backlog.has_room() {
                    put(&mut backlog, port, sent[usize::from(port)], length);
                    sent[usize::from(port)] = sent[usize::from(port)].wrapping_add(1);
                    waits += 1;
                }
                while let Some(name) = shed(&mut backlog) {
                    prop_assert!(came(name));
                    waits -= 1;
                }
                for name in (0..takes).filter_map(|_| next(&mut backlog)) {
                    prop_assert!(came(name));
                    waits -= 1;
                }
                prop_assert_eq!(backlog.packets(), waits);
                prop_assert!(backlog.bytes <= BACKLOG_BYTES);
            }
            while let Some(name) = next(&mut backlog) {
                prop_assert!(came(name));
                waits -= 1;
            }
            prop_assert_eq!((waits, backlog.bytes, backlog.is_empty()), (0, 0, true));
        }
    }
}
