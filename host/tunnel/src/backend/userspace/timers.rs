//! The thread that calls the device when something is due, or to be written down; asleep while nothing is.

use std::os::fd::AsFd;
use std::time::{Instant, SystemTime};

use nix::poll::PollFlags;

use super::{Lane, wait};
use crate::device::DatagramBatch;

/// Runs until the stop signal.
pub(super) fn run(lane: &Lane) {
    let mut out = DatagramBatch::default();
    loop {
        let time = lane.device.poll_timeout().map(|due| due.saturating_duration_since(Instant::now()));
        let fds = [(lane.stop.as_fd(), PollFlags::POLLIN), (lane.wake.as_fd(), PollFlags::POLLIN)];
        let [stopped, woken] = wait(fds, time);
        if stopped {
            return;
        }
        if woken {
            lane.wake.lower();
        }
        lane.device.handle_timeout(Instant::now(), &mut out);
        lane.send(&out);
        out.clear();
        lane.device.write_journals((Instant::now(), SystemTime::now()));
    }
}
