//! The thread from one socket to the interface.

use std::io::{self, IoSliceMut};
use std::os::fd::AsFd;
use std::time::Instant;

use nix::poll::PollFlags;
use quinn_udp::{BATCH_SIZE, RecvMeta};
use tun_rs::GROTable;

use super::sockets::{Family, UdpEnd};
use super::{Shell, wait};
use crate::device::{DatagramBatch, PacketBatch};

/// Bytes that one receive may give: a whole batch of segments.
const RECEIVE: usize = 65_536;

/// Runs until the stop signal.
pub(super) fn run(shell: Shell, family: Family) {
    let sockets = shell.sockets.clone();
    let Some(end) = sockets.end(family) else { return };
    let mut storage = vec![0; RECEIVE * BATCH_SIZE];
    let mut meta = [RecvMeta::default(); BATCH_SIZE];
    let mut writer = Writer { packets: PacketBatch::default(), coalescing: GROTable::default() };
    let mut out = DatagramBatch::default();
    loop {
        match receive(end, &mut storage, &mut meta) {
            Ok(count) => {
                let now = Instant::now();
                for (meta, bytes) in meta.iter().zip(storage.chunks_exact(RECEIVE)).take(count) {
                    for datagram in bytes[..meta.len].chunks(meta.stride.max(1)) {
                        shell.device.handle_datagram(now, meta.addr, datagram, &mut writer.packets, &mut out);
                        if writer.packets.is_full() {
                            writer.flush(&shell);
                        }
                    }
                }
                writer.flush(&shell);
                shell.sockets.send(&out, &shell.device.live_counters().drops, &shell.stop);
                out.clear();
                shell.wake_timers();
                if shell.stop.is_raised() {
                    return;
                }
            }
            Err(error) => {
                if !super::would_block(&error) {
                    tracing::debug!(%error, "a datagram could not be received");
                }
                if wait([(end.as_fd(), PollFlags::POLLIN), (shell.stop.as_fd(), PollFlags::POLLIN)], None)[1] {
                    return;
                }
            }
        }
    }
}

/// Packets for the interface, and what coalesces them.
struct Writer {
    packets: PacketBatch,
    coalescing: GROTable,
}

impl Writer {
    fn flush(&mut self, shell: &Shell) {
        if self.packets.is_empty() {
            return;
        }
        let buffers = self.packets.buffers_mut();
        if let Err(error) = shell.tun.send_multiple(&mut self.coalescing, buffers, PacketBatch::HEADROOM) {
            shell.device.live_counters().drops.tun_write_failed.one();
            tracing::debug!(%error, "the interface did not take a batch whole");
        }
        self.packets.clear();
    }
}

fn receive(end: &UdpEnd, storage: &mut [u8], meta: &mut [RecvMeta; BATCH_SIZE]) -> io::Result<usize> {
    let mut chunks = storage.chunks_exact_mut(RECEIVE);
    let mut slices: [IoSliceMut<'_>; BATCH_SIZE] =
        std::array::from_fn(|_| IoSliceMut::new(chunks.next().unwrap_or_default()));
    end.receive(&mut slices, meta)
}
