//! Datagrams on their way from the core to its shell, in one buffer that is used again.

use std::ops::Range;

use super::Endpoint;
use crate::limits::MAX_UDP_PAYLOAD;

/// Datagrams to send, one behind the other in one buffer, in order.
#[derive(Debug, Default)]
pub struct DatagramBatch {
    bytes: Vec<u8>,
    used: usize,
    datagrams: Vec<(Endpoint, Range<usize>)>,
}

/// Datagrams of a batch that can leave in one call: to one destination, all of `segment` bytes but a shorter last.
#[derive(Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// Where to.
    pub to: Endpoint,
    /// Bytes of each datagram but the last.
    pub segment: usize,
    /// The datagrams.
    pub bytes: &'a [u8],
    /// More of the same size could still follow.
    pub is_open: bool,
}

impl DatagramBatch {
    /// Room for a datagram of up to `length` bytes; [`DatagramBatch::commit`] keeps it.
    pub fn room(&mut self, length: usize) -> &mut [u8] {
        let end = self.used + length;
        if self.bytes.len() < end {
            self.bytes.resize(end, 0);
        }
        &mut self.bytes[self.used..end]
    }

    /// Keeps the first `length` bytes of the room as a datagram.
    pub fn commit(&mut self, to: Endpoint, length: usize) {
        let end = self.used + length;
        debug_assert!(end <= self.bytes.len(), "more than the room");
        self.datagrams.push((to, self.used..end));
        self.used = end;
    }

    /// Copies a datagram into the batch.
    pub fn push(&mut self, to: Endpoint, datagram: &[u8]) {
        self.room(datagram.len()).copy_from_slice(datagram);
        self.commit(to, datagram.len());
    }

    /// Whether it has as many bytes as `calls` calls may send: another datagram as long as the last would be too much.
    pub fn fills(&self, calls: usize) -> bool {
        self.datagrams.last().is_some_and(|(_, last)| self.used + last.len() > calls * MAX_UDP_PAYLOAD)
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// How many datagrams there are.
    pub fn len(&self) -> usize {
        self.datagrams.len()
    }

    /// Forgets the datagrams, keeps the buffer.
    pub fn clear(&mut self) {
        self.used = 0;
        self.datagrams.clear();
    }

    /// Forgets the first `count` datagrams.
    pub fn forget(&mut self, count: usize) {
        let Some((_, next)) = self.datagrams.get(count) else { return self.clear() };
        let sent = next.start;
        self.bytes.copy_within(sent..self.used, 0);
        self.used -= sent;
        self.datagrams.drain(..count);
        for (_, range) in &mut self.datagrams {
            *range = range.start - sent..range.end - sent;
        }
    }

    /// The datagrams, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = (Endpoint, &[u8])> {
        self.datagrams.iter().map(|(to, range)| (*to, &self.bytes[range.clone()]))
    }

    /// The longest run that begins at datagram `first`, and how many datagrams it has.
    pub fn run(&self, first: usize, max_segments: usize) -> Option<(Run<'_>, usize)> {
        let (to, head) = self.datagrams.get(first)?;
        let segment = head.len();
        let mut end = head.end;
        let mut count = 1;
        let mut is_open = true;
        for (other, range) in &self.datagrams[first + 1..] {
            let fits = range.end - head.start <= MAX_UDP_PAYLOAD && count < max_segments;
            if other != to || range.len() > segment || !fits {
                is_open = false;
                break;
            }
            end = range.end;
            count += 1;
            if range.len() < segment {
                is_open = false;
                break;
            }
        }
        is_open &= count < max_segments && end + segment - head.start <= MAX_UDP_PAYLOAD;
        Some((Run { to: *to, segment, bytes: &self.bytes[head.start..end], is_open }, count))
    }
}

#[cfg(test)]
mod tests {
    use std::net::{Ipv4Addr, SocketAddr};

    use super::*;

    #[test]
    fn it_fills_a_call_when_another_would_be_too_much_for_it() {
        let (mut batch, to) = (DatagramBatch::default(), Endpoint::from(SocketAddr::from((Ipv4Addr::LOCALHOST, 9))));
        assert!(!batch.fills(1));
        for count in 1..=100 {
            batch.push(to, &[0; 1_452]);
            assert_eq!((batch.fills(1), batch.fills(2)), (count >= 45, count >= 90), "{count}");
        }
        batch.clear();
        batch.push(to, &[0; MAX_UDP_PAYLOAD]);
        assert!(batch.fills(1));
    }
}
