//! What systemd is told: that the service is ready, that it is alive, that it stops. Without systemd: nothing.

use std::time::Duration;

use sd_notify::NotifyState;
use tracing::debug;

/// Tells that the service answers.
pub fn ready() {
    tell(NotifyState::Ready);
}

/// Tells that the service is about to stop.
pub fn stopping() {
    tell(NotifyState::Stopping);
}

/// Tells that the service is alive.
pub fn alive() {
    tell(NotifyState::Watchdog);
}

/// How often systemd wants to hear that the service is alive; none if it does not.
pub fn watchdog_interval() -> Option<Duration> {
    let mut microseconds = 0;
    let asked = sd_notify::watchdog_enabled(false, &mut microseconds);
    // Twice in each period, as sd_watchdog_enabled(3) advises.
    (asked && microseconds > 0).then(|| Duration::from_micros(microseconds) / 2)
}

fn tell(state: NotifyState<'_>) {
    if let Err(error) = sd_notify::notify(false, &[state]) {
        debug!(%error, "systemd was not told");
    }
}
