//! What can go wrong with the database itself. What can be wrong with a request stands beside each operation.

use std::path::PathBuf;

use crate::secrets::NoRandomness;

/// Why the database could not be used.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// There is none.
    #[error("no control plane in {}: run `servos-control init` first, or say where it is with --data", folder(.0))]
    Missing(PathBuf),
    /// It cannot be looked at.
    #[error("cannot reach {path}: run as its owner, or say where the control plane is with --data")]
    Unreachable {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// It cannot be opened.
    #[error("cannot open the database {path}: run as its owner, and see that the disk is neither full nor read-only")]
    Open {
        /// The file.
        path: PathBuf,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// Somebody else's.
    #[error("{0} is no database of servos-control: say where it is with --data")]
    Foreign(PathBuf),
    /// A newer program's.
    #[error("{path} has schema {found} and this program knows schemas up to {known}: run the newer servos-control")]
    Newer {
        /// The file.
        path: PathBuf,
        /// What it has.
        found: u32,
        /// What this program knows.
        known: u32,
    },
    /// A migration failed; the database is as it was before.
    #[error("cannot bring {path} to schema {version}; it is as it was")]
    Migrate {
        /// The file.
        path: PathBuf,
        /// The schema.
        version: u32,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// `init` did not get to its end.
    #[error("the control plane in {} was never initialised: run `servos-control init`", folder(.0))]
    NotInitialised(PathBuf),
    /// A statement failed; nothing of its transaction was done.
    #[error("cannot {operation}")]
    Query {
        /// What was being done.
        operation: &'static str,
        /// What SQLite said.
        #[source]
        source: rusqlite::Error,
    },
    /// A row that this program cannot have written.
    #[error("the database holds {what} that makes no sense: restore it from a backup")]
    Corrupt {
        /// Which row.
        what: String,
    },
    /// No secret could be made.
    #[error(transparent)]
    NoRandomness(#[from] NoRandomness),
}

impl StoreError {
    pub(super) fn corrupt(what: impl Into<String>) -> Self {
        Self::Corrupt { what: what.into() }
    }
}

fn folder(path: &std::path::Path) -> std::path::Display<'_> {
    path.parent().unwrap_or(path).display()
}

/// Says what was being done when SQLite failed.
pub(super) trait During<T> {
    /// `operation` completes "cannot …".
    fn during(self, operation: &'static str) -> Result<T, StoreError>;
}

impl<T> During<T> for rusqlite::Result<T> {
    fn during(self, operation: &'static str) -> Result<T, StoreError> {
        self.map_err(|source| StoreError::Query { operation, source })
    }
}
