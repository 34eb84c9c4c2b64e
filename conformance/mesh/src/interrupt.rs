//! Ctrl-C and SIGTERM: waits end with an error, so that everything is tidied up on the way out. A second one ends at
//! once.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, LazyLock};

use anyhow::{Result, bail};
use signal_hook::consts::TERM_SIGNALS;
use signal_hook::flag;

static INTERRUPTED: LazyLock<Arc<AtomicBool>> = LazyLock::new(Arc::default);

/// What a shell reports of a program that Ctrl-C ended.
const EXIT_CODE: i32 = 130;

/// From now on, signals that ask a program to end are noted first.
///
/// # Errors
///
/// What the system said.
pub(crate) fn note_signals() -> std::io::Result<()> {
    for signal in TERM_SIGNALS {
        // In this order: the first signal finds nothing noted yet.
        flag::register_conditional_shutdown(*signal, EXIT_CODE, Arc::clone(&INTERRUPTED))?;
        flag::register(*signal, Arc::clone(&INTERRUPTED))?;
    }
    Ok(())
}

/// An error once such a signal was noted.
pub(crate) fn check() -> Result<()> {
    if INTERRUPTED.load(Ordering::Relaxed) {
        bail!("interrupted");
    }
    Ok(())
}
