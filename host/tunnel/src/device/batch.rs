//! Batches between the core and its shell: datagrams to send, packets to write. Their buffers are used again.

use std::net::SocketAddr;
use std::ops::Range;

use crate::limits::{MAX_UDP_PAYLOAD, SEND_BATCH_BYTES, WRITE_BATCH_PACKETS};

/// Datagrams to send, one behind the other in one buffer, in order.
#[derive(Debug, Default)]
pub struct DatagramBatch {
    bytes: Vec<u8>,
    used: usize,
    datagrams: Vec<(SocketAddr, Range<usize>)>,
}

/// Datagrams of a batch that can leave in one call: to one destination, all of `segment` bytes but a shorter last.
#[derive(Debug, PartialEq, Eq)]
pub struct Run<'a> {
    /// Where to.
    pub to: SocketAddr,
    /// Bytes of each datagram but the last.
    pub segment: usize,
    /// The datagrams.
    pub bytes: &'a [u8],
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
    pub fn commit(&mut self, to: SocketAddr, length: usize) {
        let end = self.used + length;
        self.datagrams.push((to, self.used..end));
        self.used = end;
    }

    /// Copies a datagram into the batch.
    pub fn push(&mut self, to: SocketAddr, datagram: &[u8]) {
        self.room(datagram.len()).copy_from_slice(datagram);
        self.commit(to, datagram.len());
    }

    /// Whether it should be sent before more is put in.
    pub fn is_full(&self) -> bool {
        self.used >= SEND_BATCH_BYTES
    }

    /// Whether there is nothing to send.
    pub fn is_empty(&self) -> bool {
        self.datagrams.is_empty()
    }

    /// Forgets the datagrams, keeps the buffer.
    pub fn clear(&mut self) {
        self.used = 0;
        self.datagrams.clear();
    }

    /// The datagrams, in order.
    pub fn datagrams(&self) -> impl Iterator<Item = (SocketAddr, &[u8])> {
        self.datagrams.iter().map(|(to, range)| (*to, &self.bytes[range.clone()]))
    }

    /// The longest run that begins at datagram `first`, and how many datagrams it has.
    pub fn run(&self, first: usize, max_segments: usize) -> Option<(Run<'_>, usize)> {
        let (to, head) = self.datagrams.get(first)?;
        let segment = head.len();
        let mut end = head.end;
        let mut count = 1;
        for (other, range) in &self.datagrams[first + 1..] {
            let fits = range.end - head.start <= MAX_UDP_PAYLOAD && count < max_segments;
            if other != to || range.len() > segment || !fits {
                break;
            }
            end = range.end;
            count += 1;
            if range.len() < segment {
                break;
            }
        }
        Some((Run { to: *to, segment, bytes: &self.bytes[head.start..end] }, count))
    }
}

/// Packets to write to the interface, each with headroom for the offload header.
#[derive(Debug, Default)]
pub struct PacketBatch {
    buffers: Vec<Vec<u8>>,
    used: usize,
}

impl PacketBatch {
    /// Bytes before each packet: `virtio_net_hdr` (virtio 1.2 §5.1.6).
    pub const HEADROOM: usize = 10;

    /// Capacity of a buffer: 64 KiB to be coalesced in, and the headroom.
    const CAPACITY: usize = 65_536 + Self::HEADROOM;

    /// Room for a packet of up to `length` bytes; [`PacketBatch::commit`] keeps it.
    pub fn room(&mut self, length: usize) -> &mut [u8] {
        if self.used == self.buffers.len() {
            self.buffers.push(Vec::with_capacity(Self::CAPACITY));
        }
        let buffer = &mut self.buffers[self.used];
        buffer.resize(Self::HEADROOM + length, 0);
        &mut buffer[Self::HEADROOM..]
    }

    /// Keeps the first `length` bytes of the room as a packet. Empty ones are not kept.
    pub fn commit(&mut self, length: usize) {
        if length > 0 {
            self.buffers[self.used].truncate(Self::HEADROOM + length);
            self.used += 1;
        }
    }

    /// Whether it should be written before more is put in.
    pub fn is_full(&self) -> bool {
        self.used >= WRITE_BATCH_PACKETS
    }

    /// Whether there is nothing to write.
    pub fn is_empty(&self) -> bool {
        self.used == 0
    }

    /// Forgets the packets, keeps the buffers.
    pub fn clear(&mut self) {
        self.used = 0;
    }

    /// The packets, in order.
    pub fn packets(&self) -> impl Iterator<Item = &[u8]> {
        self.buffers[..self.used].iter().map(|buffer| &buffer[Self::HEADROOM..])
    }

    /// The buffers with their headroom, for the interface.
    pub(crate) fn buffers_mut(&mut self) -> &mut [Vec<u8>] {
        &mut self.buffers[..self.used]
    }
}
