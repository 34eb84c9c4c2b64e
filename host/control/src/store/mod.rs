//! The database: every rule about what may stand in it, and every change in one transaction.
//!
//! A change that alters what servers are told gives the organisation a higher revision in the same transaction, so a
//! reader never sees a change without its revision. All calls block; `live::Worker` keeps them off the async threads.

mod changes;
mod enrolment;
mod error;
mod installation;
mod key_rotation;
mod mesh_state;
mod migrations;
mod organisations;
mod resources;
mod servers;
mod tokens;

use std::path::Path;

use rusqlite::{Connection, OpenFlags, Transaction, TransactionBehavior};

use crate::allocation::AddressPool;
use crate::limits::BUSY_TIMEOUT;
use error::During;

pub use changes::{Changes, Cursor};
pub use enrolment::{EnrolError, Enrolled, Joining};
pub use error::StoreError;
pub use installation::Installation;
pub use key_rotation::{KeyError, Rotated};
pub use migrations::{MIGRATIONS, SCHEMA_VERSION};
pub use organisations::{Organisation, OrganisationError, OrganisationId};
pub use resources::{Applied, ApplyError, ApplyMode, ResourceAction, ResourceChange, ResourceError};
pub use servers::{CredentialHolder, Server, ServerError, ServerId};
pub use tokens::{MintedToken, Token, TokenError, TokenId, TokenState};

/// A connection to the database.
#[derive(Debug)]
pub struct Store {
    connection: Connection,
    pool: AddressPool,
}

impl Store {
    /// Opens the database that `init` made, and migrates it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Missing`] if there is none; [`StoreError::Newer`] if a newer program wrote it;
    /// [`StoreError::Foreign`] if it is somebody else's; [`StoreError::Open`] and [`StoreError::Migrate`] for the rest.
    pub fn open(path: &Path) -> Result<Self, StoreError> {
        Self::open_with_pool(path, AddressPool::default())
    }

    /// As [`open`](Self::open), with a pool of addresses of one's own.
    ///
    /// # Errors
    ///
    /// As [`open`](Self::open).
    pub fn open_with_pool(path: &Path, pool: AddressPool) -> Result<Self, StoreError> {
        let failed = |source| StoreError::Open { path: path.to_owned(), source };
        match path.try_exists() {
            Ok(true) => {}
            Ok(false) => return Err(StoreError::Missing(path.to_owned())),
            Err(source) => return Err(StoreError::Unreachable { path: path.to_owned(), source }),
        }
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        let mut connection = Connection::open_with_flags(path, flags).map_err(failed)?;
        connection.busy_timeout(BUSY_TIMEOUT).map_err(failed)?;
        migrations::check(&connection, path)?;
        connection.pragma_update(None, "journal_mode", "WAL").map_err(failed)?;
        // An enrolment that was acknowledged must outlive a power loss: its server has nothing else.
        connection.pragma_update(None, "synchronous", "FULL").map_err(failed)?;
        connection.pragma_update(None, "foreign_keys", true).map_err(failed)?;
        migrations::run(&mut connection, path)?;
        Ok(Self { connection, pool })
    }

    /// Runs `work` in a transaction that holds the write lock from its start.
    fn write<T, E: From<StoreError>>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction =
            self.connection.transaction_with_behavior(TransactionBehavior::Immediate).during(operation)?;
        let result = work(&transaction)?;
        transaction.commit().during(operation)?;
        Ok(result)
    }

    /// Runs `work` on one moment of the database.
    fn read<T, E: From<StoreError>>(
        &mut self,
        operation: &'static str,
        work: impl FnOnce(&Transaction<'_>) -> Result<T, E>,
    ) -> Result<T, E> {
        let transaction = self.connection.transaction().during(operation)?;
        work(&transaction)
    }
}
