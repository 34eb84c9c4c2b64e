//! The two clocks: of the wall, which people and NTP set at any moment, for what is kept and shown; and since boot, which
//! nobody sets and which goes on while the machine is suspended, for what has to pass.

use std::time::{Duration, SystemTime};

use nix::time::{ClockId, clock_gettime};

/// A moment by both.
#[derive(Clone, Copy, Debug)]
pub struct Now {
    /// By the wall's.
    pub wall: SystemTime,
    /// Since boot.
    pub boot: Duration,
}

/// Reads both clocks.
pub type Clock = Box<dyn Fn() -> Now + Send + Sync>;

/// The system's.
pub fn system() -> Clock {
    Box::new(|| {
        let boot = clock_gettime(ClockId::CLOCK_BOOTTIME).expect("Linux has this clock since 2.6.39");
        Now { wall: SystemTime::now(), boot: boot.into() }
    })
}
