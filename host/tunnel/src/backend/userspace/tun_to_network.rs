//! The thread from the interface to the network.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::{AsFd, AsRawFd, BorrowedFd};
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFlags;
use tun_rs::SyncDevice;

use super::{Shell, wait};
use crate::device::DatagramBatch;
use crate::limits::LINK_DOWN_WAIT;
use crate::offload::{VirtioHeader, Whole};

/// Bytes of the longest packet that the kernel hands over before segmentation, with its offload header.
const UNSEGMENTED: usize = 65_535 + VirtioHeader::LENGTH;

/// Runs until the stop signal, or until the interface is gone.
pub(super) fn run(shell: Shell) {
    let mut buffer = vec![0; UNSEGMENTED];
    let mut out = DatagramBatch::default();
    while pump(&shell, &mut buffer, &mut out).is_continue() {}
}

/// Takes what the interface has until the batch is full or there is no more, sends it, and waits for the next.
fn pump(shell: &Shell, buffer: &mut [u8], out: &mut DatagramBatch) -> ControlFlow<()> {
    let counters = shell.device.live_counters();
    let mut outcome = Ok(());
    while outcome.is_ok() && !out.is_full() {
        match shell.tun.recv(buffer) {
            Ok(length) => {
                counters.tun_reads.one();
                take(shell, &mut buffer[..length], out);
            }
            Err(error) => outcome = Err(error),
        }
    }
    shell.send(out);
    out.clear();
    shell.wake_timers();
    match outcome {
        Ok(()) if shell.stop.is_raised() => ControlFlow::Break(()),
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => wait_after(shell, &error),
    }
}

/// Hands what was read to the device.
fn take(shell: &Shell, read: &mut [u8], out: &mut DatagramBatch) {
    let whole =
        read.split_first_chunk_mut().and_then(|(header, packet)| Whole::read(VirtioHeader::read(header), packet));
    match whole {
        Some(whole) => shell.device.handle_packets(Instant::now(), &whole, out),
        None => shell.device.live_counters().drops.no_ip.one(),
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
            shell.gone.raise();
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
