//! The thread that calls the device when something is due; asleep while nothing is.

use std::os::fd::AsFd;
use std::time::Instant;

use nix::poll::PollFlags;

use super::{Shell, wait};
use crate::device::DatagramBatch;

/// Runs until the stop signal.
pub(super) fn run(shell: Shell) {
    let mut out = DatagramBatch::default();
    loop {
        let time = shell.device.poll_timeout().map(|due| due.saturating_duration_since(Instant::now()));
        let fds = [(shell.stop.as_fd(), PollFlags::POLLIN), (shell.wake.as_fd(), PollFlags::POLLIN)];
        let [stopped, woken] = wait(fds, time);
        if stopped {
            return;
        }
        if woken {
            shell.wake.lower();
        }
        shell.device.handle_timeout(Instant::now(), &mut out);
        shell.send(&out);
        out.clear();
    }
}
