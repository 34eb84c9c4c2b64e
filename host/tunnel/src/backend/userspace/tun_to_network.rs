//! The thread from the interface to the network.

use std::io;
use std::ops::ControlFlow;
use std::os::fd::AsFd;
use std::time::Instant;

use nix::errno::Errno;
use nix::poll::PollFlags;

use super::{Lane, wait};
use crate::device::DatagramBatch;
use crate::limits::{LINK_DOWN_WAIT, MTU_LOOK};
use crate::offload::{VirtioHeader, Whole};

/// Bytes of the longest packet that the kernel hands over before segmentation, with its offload header.
const UNSEGMENTED: usize = 65_535 + VirtioHeader::LENGTH;

/// Runs until the stop signal, or until the interface is gone.
pub(super) fn run(lane: &Lane) {
    let mut buffer = vec![0; UNSEGMENTED];
    let mut out = DatagramBatch::default();
    let mut mtu = MtuWatch::default();
    while pump(lane, &mut mtu, &mut buffer, &mut out).is_continue() {}
}

/// Takes what the interface has until the batch is full or there is no more, sends it, and waits for the next.
fn pump(lane: &Lane, mtu: &mut MtuWatch, buffer: &mut [u8], out: &mut DatagramBatch) -> ControlFlow<()> {
    let counters = lane.device.live_counters();
    let mut outcome = Ok(());
    while outcome.is_ok() && !out.is_full() {
        match lane.queue.read(buffer) {
            Ok((header, packet)) => {
                counters.tun_reads.one();
                if out.is_empty() {
                    mtu.look(lane);
                }
                take(lane, header, packet, out);
            }
            Err(error) => outcome = Err(error),
        }
    }
    lane.send(out);
    out.clear();
    lane.wake_timers();
    match outcome {
        Ok(()) if lane.stop.was_raised() => ControlFlow::Break(()),
        Ok(()) => ControlFlow::Continue(()),
        Err(error) => wait_after(lane, mtu, &error),
    }
}

/// Follows the MTU that somebody else sets, where that is nobody's of ours to decide: before the first packet after the
/// interface came up, and now and then among packets. An interface at rest is not looked at.
#[derive(Default)]
struct MtuWatch {
    looked: Option<Instant>,
}

impl MtuWatch {
    fn look(&mut self, lane: &Lane) {
        if !lane.device.is_configurable() || self.looked.is_some_and(|looked| looked.elapsed() < MTU_LOOK) {
            return;
        }
        self.looked = Some(Instant::now());
        // One that was moved to another namespace keeps what it had.
        if let Ok(mtu) = lane.queue.mtu() {
            lane.device.set_mtu(mtu);
        }
    }
}

/// Hands what was read to the device.
fn take(lane: &Lane, header: VirtioHeader, packet: &mut [u8], out: &mut DatagramBatch) {
    match Whole::read(header, packet) {
        Some(whole) => lane.device.handle_packets(Instant::now(), &whole, out),
        None => lane.device.live_counters().drops.no_ip.one(),
    }
}

fn wait_after(lane: &Lane, mtu: &mut MtuWatch, error: &io::Error) -> ControlFlow<()> {
    let stop = (lane.stop.as_fd(), PollFlags::POLLIN);
    let stopped = match error.raw_os_error().map(Errno::from_raw) {
        _ if super::would_block(error) => wait([(lane.queue.as_fd(), PollFlags::POLLIN), stop], None)[1],
        // Down: nothing can be read until somebody brings it up again.
        Some(Errno::EIO) => {
            mtu.looked = None;
            wait([stop], Some(LINK_DOWN_WAIT))[0]
        }
        Some(Errno::EBADFD) => {
            tracing::error!(
                "the interface was deleted by somebody else: the tunnel stands still until it is restarted"
            );
            lane.gone.raise();
            true
        }
        _ => {
            lane.device.live_counters().drops.tun_read_failed.one();
            tracing::debug!(%error, "a packet of the interface could not be read");
            lane.stop.was_raised()
        }
    };
    if stopped { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
}
