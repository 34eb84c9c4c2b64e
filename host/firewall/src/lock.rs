//! A file lock that keeps two runs of this crate apart. ufw reads its rules before it takes its own lock, so of several
//! commands at once only one survives; its lock cannot be held for it.

use std::fs::{File, OpenOptions};
use std::path::{Path, PathBuf};

use nix::errno::Errno;
use nix::fcntl::{Flock, FlockArg};
use tokio::time::Instant;

use crate::limits::{LOCK_DEADLINE, LOCK_INTERVAL};

/// Held until dropped.
pub(crate) struct RunLock(#[expect(dead_code, reason = "held for its drop")] Flock<File>);

impl RunLock {
    /// Waits until the lock is free.
    ///
    /// # Errors
    ///
    /// [`LockError::Open`] if the file cannot be made; [`LockError::Busy`] if another run holds it for too long.
    pub(crate) async fn take(path: &Path) -> Result<Self, LockError> {
        let open = |source| LockError::Open { path: path.to_owned(), source };
        let mut file = OpenOptions::new().write(true).create(true).truncate(false).open(path).map_err(open)?;
        let end = Instant::now() + LOCK_DEADLINE;
        loop {
            file = match Flock::lock(file, FlockArg::LockExclusiveNonblock) {
                Ok(lock) => return Ok(Self(lock)),
                Err((_, error)) if error != Errno::EWOULDBLOCK => return Err(open(error.into())),
                Err(_) if Instant::now() >= end => return Err(LockError::Busy { path: path.to_owned() }),
                Err((file, _)) => file,
            };
            tokio::time::sleep(LOCK_INTERVAL).await;
        }
    }
}

/// Why the lock was not to be had.
#[derive(Debug, thiserror::Error)]
pub enum LockError {
    /// The file cannot be made or locked.
    #[error("cannot lock {path}: is this run by root?")]
    Open {
        /// Its path.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// Another run holds it.
    #[error("another servos program has been changing the firewall for {} s (lock {path}): end it and try again", LOCK_DEADLINE.as_secs())]
    Busy {
        /// Its path.
        path: PathBuf,
    },
}
