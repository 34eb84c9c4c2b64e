//! A server's key gives way to another, in one transaction with the generation that peers know it by.

use rusqlite::{OptionalExtension, params};
use servos_mesh::{KeyGeneration, PublicKey, Revision};

use super::error::During;
use super::organisations::bump;
use super::{CredentialHolder, Store, StoreError};
use crate::clock::UnixSeconds;

/// A key that gave way to another.
#[derive(Clone, Debug)]
pub struct Rotated {
    /// Name of the organisation.
    pub organisation: String,
    /// Name of the server.
    pub server: String,
    /// The key before.
    pub previous_key: PublicKey,
    /// Generation of the key that took its place.
    pub generation: KeyGeneration,
    /// First revision that has it.
    pub revision: Revision,
}

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
    ) -> Result<Option<Rotated>, KeyError> {
        let what = "keep the key";
        self.write(what, |tx| {
            let sql = "SELECT 1 FROM servers WHERE (public_key = ?1 OR previous_key = ?1) AND id <> ?2";
            let others = tx.query_row(sql, params![key.as_bytes(), holder.server.0], |_| Ok(())).optional();
            if others.during(what)?.is_some() {
                return Err(KeyError::Taken);
            }
            let sql = "SELECT o.name, s.name, s.public_key, s.key_generation FROM servers s
                JOIN organisations o ON o.id = s.organisation WHERE s.id = ?1 AND s.public_key <> ?2";
            let known = tx
                .query_row(sql, params![holder.server.0, key.as_bytes()], |row| {
                    Ok((row.get(0)?, row.get::<_, String>(1)?, row.get::<_, [u8; 32]>(2)?, row.get(3)?))
                })
                .optional()
                .during(what)?;
            let Some((organisation, server, previous_key, generation)) = known else { return Ok(None) };
            let previous_key =
                PublicKey::from_bytes(previous_key).map_err(|_| StoreError::corrupt(format!("server {server:?}")))?;
            let generation = KeyGeneration::from_number(generation).after_rotation();
            let revision = bump(tx, holder.organisation, now)?;
            let sql = "UPDATE servers SET public_key = ?2, previous_key = public_key, key_generation = ?3,
                changed_revision = ?4 WHERE id = ?1";
            let values = params![holder.server.0, key.as_bytes(), generation.number(), revision.0 as i64];
            tx.execute(sql, values).during(what)?;
            Ok(Some(Rotated { organisation, server, previous_key, generation, revision }))
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
