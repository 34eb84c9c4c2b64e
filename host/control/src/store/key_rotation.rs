//! A server's key gives way to another, in one transaction with the generation that peers know it by.

use rusqlite::{OptionalExtension, params};
use servos_mesh::{KeyGeneration, PublicKey, Revision};

use super::error::During;
use super::organisations::bump;
use super::{CredentialHolder, Store, StoreError};
use crate::clock::UnixSeconds;

impl Store {
    /// Gives a server another key. None if it has that key already, or the server was deleted meanwhile.
    ///
    /// # Errors
    ///
    /// [`KeyError::Taken`] if another server has the key, or had it before its last rotation.
    pub fn set_key(
        &mut self,
        holder: CredentialHolder,
        key: &PublicKey,
        now: UnixSeconds,
    ) -> Result<Option<Revision>, KeyError> {
        let what = "keep the key";
        self.write(what, |tx| {
            let sql = "SELECT 1 FROM servers WHERE (public_key = ?1 OR previous_key = ?1) AND id <> ?2";
            let others = tx.query_row(sql, params![key.as_bytes(), holder.server.0], |_| Ok(())).optional();
            if others.during(what)?.is_some() {
                return Err(KeyError::Taken);
            }
            let sql = "SELECT key_generation FROM servers WHERE id = ?1 AND public_key <> ?2";
            let known = tx.query_row(sql, params![holder.server.0, key.as_bytes()], |row| row.get(0)).optional();
            let Some(known) = known.during(what)?.map(KeyGeneration::from_number) else { return Ok(None) };
            let revision = bump(tx, holder.organisation, now)?;
            let sql = "UPDATE servers SET public_key = ?2, previous_key = public_key, key_generation = ?3,
                changed_revision = ?4 WHERE id = ?1";
            let generation = known.after_rotation().number();
            tx.execute(sql, params![holder.server.0, key.as_bytes(), generation, revision.0 as i64]).during(what)?;
            Ok(Some(revision))
        })
    }
}

/// Why a server cannot have a key.
#[derive(Debug, thiserror::Error)]
pub enum KeyError {
    /// Another server has it, or had it before its last rotation and may still answer it.
    #[error(
        "another server has this public key, or had it before its last rotation: make a new key; two servers must \
         never share one"
    )]
    Taken,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
