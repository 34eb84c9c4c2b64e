//! What `init` decided, once for the whole control plane.

use rusqlite::{OptionalExtension, params};
use servos_mesh::HostName;

use super::error::During;
use super::organisations::insert_organisation;
use super::tokens::{MintedToken, insert_token};
use super::{Organisation, OrganisationError, Store, StoreError};
use crate::clock::UnixSeconds;

/// Where servers reach this control plane, and how they know it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Installation {
    /// `https://host:port`.
    pub url: String,
    /// SHA-256 of the certificate (DER) that tokens pin; none where a public authority vouches for it.
    pub fingerprint: Option<[u8; 32]>,
}

impl Store {
    /// What `init` decided; none before it.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`].
    pub fn installation(&self) -> Result<Option<Installation>, StoreError> {
        let read = |row: &rusqlite::Row<'_>| Ok(Installation { url: row.get(0)?, fingerprint: row.get(1)? });
        self.connection
            .query_row("SELECT url, fingerprint FROM installation", [], read)
            .optional()
            .during("read what `init` decided")
    }

    /// What `init` decided.
    ///
    /// # Errors
    ///
    /// [`StoreError::NotInitialised`] before it; [`StoreError::Query`].
    pub fn expect_installation(&self) -> Result<Installation, StoreError> {
        let path = || self.connection.path().unwrap_or_default().into();
        self.installation()?.ok_or_else(|| StoreError::NotInitialised(path()))
    }

    /// Initialises: keeps `installation`, makes the first organisation and its first token, all of it or nothing.
    /// None if it was initialised before; nothing is changed then.
    ///
    /// # Errors
    ///
    /// [`OrganisationError`].
    pub fn initialise(
        &mut self,
        installation: &Installation,
        organisation: &str,
        domain: &HostName,
        expires_at: UnixSeconds,
        now: UnixSeconds,
    ) -> Result<Option<(Organisation, MintedToken)>, OrganisationError> {
        self.write("initialise", |tx| {
            let made = tx
                .execute(
                    "INSERT INTO installation (id, url, fingerprint) VALUES (1, ?1, ?2) ON CONFLICT DO NOTHING",
                    params![installation.url, installation.fingerprint],
                )
                .during("keep what `init` decided")?;
            if made == 0 {
                return Ok(None);
            }
            let organisation = insert_organisation(tx, organisation, domain, now)?;
            let token = insert_token(tx, organisation.id, expires_at, Some(1), now)?;
            Ok(Some((organisation, token)))
        })
    }
}
