//! A signal between threads that `poll` can wait for.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::eventfd::{EfdFlags, EventFd};

/// Raised until it is lowered; an eventfd.
pub(crate) struct Signal {
    event: EventFd,
    /// Whether it was ever raised.
    was_raised: AtomicBool,
}

impl Signal {
    pub(crate) fn new() -> io::Result<Self> {
        let event = EventFd::from_flags(EfdFlags::EFD_NONBLOCK | EfdFlags::EFD_CLOEXEC)?;
        Ok(Self { event, was_raised: AtomicBool::new(false) })
    }

    pub(crate) fn raise(&self) {
        self.was_raised.store(true, Relaxed);
        // Fails only when the count is full: it is raised then.
        let _ = self.event.write(1);
    }

    pub(crate) fn lower(&self) {
        // Fails only when it is not raised.
        let _ = self.event.read();
    }

    /// Whether it was ever raised: for signals that nobody lowers, at the cost of a load.
    pub(crate) fn was_raised(&self) -> bool {
        self.was_raised.load(Relaxed)
    }
}

impl AsFd for Signal {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.event.as_fd()
    }
}

/// Waits until one of the descriptors is ready or the time is up; says which are. A signal of the process ends it too.
pub(crate) fn wait<const N: usize>(fds: [(BorrowedFd<'_>, PollFlags); N], time: Option<Duration>) -> [bool; N] {
    let mut polled = fds.map(|(fd, flags)| PollFd::new(fd, flags));
    let timeout = match time {
        None => PollTimeout::NONE,
        // Rounded up: waking before the time would mean waking again and again.
        Some(time) => {
            let millis = time.as_nanos().div_ceil(1_000_000);
            PollTimeout::try_from(i32::try_from(millis).unwrap_or(i32::MAX)).unwrap_or(PollTimeout::MAX)
        }
    };
    match poll(&mut polled, timeout) {
        Ok(_) => polled.map(|fd| fd.any().unwrap_or(true)),
        Err(_) => [false; N],
    }
}
