//! Waiting for something to become true, with a generous deadline: the one place here that looks again and again.

use std::time::{Duration, Instant};

use anyhow::{Result, bail};

use crate::interrupt;

/// Looks every 50 ms until `probe` answers `Ok`, or until `deadline` has passed; then its last error comes back.
///
/// # Errors
///
/// That `what` did not happen, with the last reason.
pub fn wait_for<T>(what: &str, deadline: Duration, mut probe: impl FnMut() -> Result<T>) -> Result<T> {
    let started = Instant::now();
    loop {
        interrupt::check()?;
        match probe() {
            Ok(value) => return Ok(value),
            Err(error) if started.elapsed() > deadline => {
                bail!("{what}: not within {} s: {error:#}", deadline.as_secs())
            }
            Err(_) => pause(),
        }
    }
}

#[allow(clippy::disallowed_methods, reason = "the pause between two looks; what is waited for is looked at each time")]
fn pause() {
    std::thread::sleep(Duration::from_millis(50));
}
