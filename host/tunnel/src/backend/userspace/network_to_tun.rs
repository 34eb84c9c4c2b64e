//! The thread from one socket to the interface.

use std::io::{self, IoSlice, IoSliceMut};
use std::ops::Range;
use std::os::fd::AsFd;
use std::sync::mpsc::SyncSender;
use std::time::Instant;

use nix::poll::PollFlags;
use quinn_udp::{BATCH_SIZE, RecvMeta};

use super::sockets::{Family, Sockets, UdpEnd};
use super::{Lane, Signal, wait};
use crate::device::{Arrived, DatagramBatch, Endpoint, HandshakeMessage};
use crate::offload::{Joined, Joiner};

/// Bytes that one message may give: a whole batch of segments.
const RECEIVE: usize = 65_536;

/// Messages that one call receives at most. Their buffers are resident once a stream has filled them; with twice as many
/// neither streams nor small packets were faster.
const MESSAGES: usize = 16;

const _: () = assert!(MESSAGES <= BATCH_SIZE, "the library takes no more in a call");

/// Messages that a receive is prepared for after a lone one: each costs, also where none comes.
const FEW: usize = 4;

/// Runs until the stop signal. Messages of handshakes go to `backlog`.
pub(super) fn run(
    lane: &Lane,
    sockets: &Sockets,
    family: Family,
    backlog: &SyncSender<HandshakeMessage>,
    stop: &Signal,
) {
    let Some(end) = sockets.end(lane.number, family) else { return };
    super::go_first();
    let mut storage = vec![0; RECEIVE * MESSAGES];
    let mut meta = [RecvMeta::default(); MESSAGES];
    let mut arrived = Arrived::default();
    let mut joiner = Joiner::new(lane.queue.joinable());
    let mut out = DatagramBatch::default();
    let mut room = MESSAGES;
    loop {
        match receive(end, &mut storage[..RECEIVE * room], &mut meta) {
            Ok(count) => {
                let now = Instant::now();
                for (at, (meta, bytes)) in meta.iter().zip(storage.chunks_exact_mut(RECEIVE)).take(count).enumerate() {
                    let source = Endpoint::received(meta.addr, meta.dst_ip);
                    let (bytes, base) = (&mut bytes[..meta.len], at * RECEIVE);
                    lane.device.handle_datagrams(now, source, bytes, meta.stride, base, &mut arrived, &mut out);
                }
                // First of all: among it may be packets that waited, and others overtake them meanwhile.
                lane.send(&out);
                out.clear();
                write(lane, &mut joiner, &mut storage, &arrived.packets);
                arrived.packets.clear();
                for message in arrived.handshakes.drain(..) {
                    // Full: whoever meant it asks again.
                    if backlog.try_send(message).is_err() {
                        lane.device.live_counters().drops.too_many_handshakes.one();
                    }
                }
                lane.wake_timers();
                // Of one alone the next is waited for at once: whom it woke may want this processor.
                let is_lone = count == 1 && meta[0].len <= meta[0].stride;
                room = if is_lone { FEW } else { MESSAGES };
                let stopped = if is_lone { waits(end, stop) } else { stop.was_raised() };
                if stopped {
                    return;
                }
            }
            Err(error) => {
                if !super::would_block(&error) {
                    tracing::debug!(%error, "a datagram could not be received");
                }
                if waits(end, stop) {
                    return;
                }
            }
        }
    }
}

/// Waits for datagrams; true for the stop signal.
fn waits(end: &UdpEnd, stop: &Signal) -> bool {
    wait([(end.as_fd(), PollFlags::POLLIN), (stop.as_fd(), PollFlags::POLLIN)], None)[1]
}

/// Writes the packets to the interface, joined.
fn write(lane: &Lane, joiner: &mut Joiner, storage: &mut [u8], packets: &[Range<usize>]) {
    for joined in joiner.join(storage, packets) {
        if let Err(error) = write_one(lane, storage, joined) {
            lane.device.live_counters().drops.tun_write_failed.one();
            tracing::debug!(%error, "the interface did not take a packet");
        }
    }
}

fn write_one(lane: &Lane, storage: &[u8], joined: &Joined) -> io::Result<usize> {
    let header = joined.header.write();
    let mut slices = [IoSlice::new(&[]); MAX_SLICES];
    slices[0] = IoSlice::new(&header);
    slices[1] = IoSlice::new(&storage[joined.first.clone()]);
    for (slice, payload) in slices[2..].iter_mut().zip(&joined.payloads) {
        *slice = IoSlice::new(&storage[payload.clone()]);
    }
    lane.queue.write(&slices[..2 + joined.payloads.len()])
}

/// Slices of one write: header, first packet, payloads.
const MAX_SLICES: usize = 2 + Joined::MAX_PAYLOADS;

/// Receives as many messages as there is room for.
fn receive(end: &UdpEnd, storage: &mut [u8], meta: &mut [RecvMeta; MESSAGES]) -> io::Result<usize> {
    let room = storage.len() / RECEIVE;
    let mut chunks = storage.chunks_exact_mut(RECEIVE);
    let mut slices: [IoSliceMut<'_>; MESSAGES] =
        std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
    end.receive(&mut slices[..room], &mut meta[..room])
}
