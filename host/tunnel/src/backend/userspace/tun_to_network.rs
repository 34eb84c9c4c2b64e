//! The thread from the interface to the network.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFlags;
use tun_rs::{SyncDevice, VIRTIO_NET_HDR_LEN};

use super::{Shell, wait};
use crate::device::DatagramBatch;
use crate::limits::{LINK_DOWN_WAIT, PADDING, TUN_SEGMENTS};

/// Bytes of the longest packet that the kernel hands over before segmentation, with its offload header.
const UNSEGMENTED: usize = 65_535 + VIRTIO_NET_HDR_LEN;

/// Runs until the stop signal, or until the interface is gone.
pub(super) fn run(shell: Shell) {
    let mut unsegmented = vec![0; UNSEGMENTED];
    let mut sizes = vec![0; TUN_SEGMENTS];
    let mut out = DatagramBatch::default();
    loop {
        // Pages of the arena that no segment reaches are never touched, hence never resident.
        let mtu = shell.device.mtu();
        let stride = usize::from(mtu) + PADDING;
        let mut arena = vec![0; stride * TUN_SEGMENTS];
        let mut segments: Vec<&mut [u8]> = arena.chunks_exact_mut(stride).collect();
        while shell.device.mtu() <= mtu {
            if pump(&shell, &mut unsegmented, &mut segments, &mut sizes, &mut out).is_break() {
                return;
            }
        }
    }
}

/// Takes what the interface has until the batch is full or there is no more, sends it, and waits for the next.
fn pump(
    shell: &Shell,
    unsegmented: &mut [u8],
    segments: &mut [&mut [u8]],
    sizes: &mut [usize],
    out: &mut DatagramBatch,
) -> ControlFlow<()> {
    let counters = shell.device.live_counters();
    let mut outcome = Ok(());
    while outcome.is_ok() && !out.is_full() {
        match shell.tun.recv_multiple(unsegmented, segments, sizes, 0) {
            Ok(count) => {
                counters.tun_reads.one();
                let now = Instant::now();
                for (segment, size) in segments.iter_mut().zip(&*sizes).take(count) {
                    shell.device.handle_packet(now, segment, *size, out);
                }
            }
            Err(error) => outcome = Err(error),
        }
    }
    shell.sockets.send(out, &counters.drops, &shell.stop);
    out.clear();
    shell.wake_timers();
    match outcome {
        Ok(()) if shell.stop.is_raised() => ControlFlow::Break(()),
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => wait_after(shell, &error),
    }
}

fn wait_after(shell: &Shell, error: &io::Error) -> ControlFlow<()> {
    let stop = (shell.stop.as_fd(), PollFlags::POLLIN);
    let stopped = match error.raw_os_error().map(Errno::from_raw) {
        _ if super::would_block(error) => wait([(tun_fd(&shell.tun), PollFlags::POLLIN), stop], None)[1],
        // Down: nothing can be read until somebody brings it up again.
        Some(Errno::EIO) => wait([stop], Some(LINK_DOWN_WAIT))[0],
        Some(Errno::EBADFD) => {
            tracing::error!(
                "the interface was deleted by somebody else: the tunnel stands still until it is restarted"
            );
            true
        }
        _ => {
            shell.device.live_counters().drops.tun_read_failed.one();
            tracing::debug!(%error, "a packet of the interface could not be read");
            shell.stop.is_raised()
        }
    };
    if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}

fn tun_fd(tun: &SyncDevice) -> BorrowedFd<'_> {
    // SAFETY: the descriptor is the device's own and stays open for as long as the device is borrowed.
    unsafe { BorrowedFd::borrow_raw(tun.as_raw_fd()) }
}
