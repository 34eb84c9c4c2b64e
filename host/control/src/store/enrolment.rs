//! A server joins: token, name, key and address are checked and taken in one transaction.

use rusqlite::{OptionalExtension, Transaction, params};
use servos_mesh::{DnsLabel, HostName, KeyGeneration, MeshAddress, PublicKey, Revision};
use zeroize::Zeroizing;

use super::error::During;
use super::organisations::bump;
use super::tokens::{find_token, use_token};
use super::{OrganisationId, Store, StoreError, TokenState};
use crate::allocation::{self, AddressPool, Allocation, Exhausted};
use crate::clock::UnixSeconds;
use crate::endpoint::Endpoint;
use crate::secrets;

/// A server that asks to join.
#[derive(Clone, Debug)]
pub struct Joining {
    /// The name that it wants.
    pub name: DnsLabel,
    /// Its key.
    pub public_key: PublicKey,
    /// Where peers reach it, if known.
    pub endpoint: Option<Endpoint>,
}

/// A server that has joined.
pub struct Enrolled {
    /// Where.
    pub organisation: OrganisationId,
    /// Name of the organisation.
    pub organisation_name: String,
    /// Search domain.
    pub domain: HostName,
    /// The server's address, its own for life.
    pub address: MeshAddress,
    /// The server's credential.
    pub credential: Zeroizing<[u8; 32]>,
    /// First revision that has the server in it.
    pub revision: Revision,
}

impl Store {
    /// Lets a server join with the token whose secret has this hash. A refusal does not use the token up.
    ///
    /// # Errors
    ///
    /// [`EnrolError`]
    pub fn enrol(
        &mut self,
        secret_hash: &[u8; 32],
        joining: &Joining,
        now: UnixSeconds,
    ) -> Result<Enrolled, EnrolError> {
        let pool = self.pool;
        self.write("enrol the server", |tx| {
            let token = find_token(tx, secret_hash, now)?.ok_or(EnrolError::UnknownToken)?;
            match token.state {
                TokenState::Usable => {}
                TokenState::Revoked => return Err(EnrolError::TokenRevoked),
                TokenState::Expired => return Err(EnrolError::TokenExpired),
                TokenState::UsedUp => return Err(EnrolError::TokenUsedUp),
            }
            let organisation = token.organisation;
            check_free(tx, organisation, joining)?;
            let (address, generation) = allocate(tx, organisation, pool)?;
            let credential = secrets::generate().map_err(StoreError::from)?;
            use_token(tx, token.id)?;
            let revision = bump(tx, organisation, now)?;
            insert(tx, organisation, joining, (address, generation), &secrets::hash(&credential), revision, now)?;
            let (organisation_name, domain) = tx
                .query_row("SELECT name, domain FROM organisations WHERE id = ?1", [organisation.0], |row| {
                    Ok((row.get(0)?, row.get::<_, String>(1)?))
                })
                .during("read the organisation")?;
            let domain = domain.parse().map_err(|_| StoreError::corrupt("a domain"))?;
            Ok(Enrolled { organisation, organisation_name, domain, address, credential, revision })
        })
    }
}

fn check_free(tx: &Transaction<'_>, organisation: OrganisationId, joining: &Joining) -> Result<(), EnrolError> {
    let exists = |sql, parameters: &[&dyn rusqlite::ToSql]| {
        tx.query_row(sql, parameters, |_| Ok(())).optional().during("look for the name").map(|found| found.is_some())
    };
    let name = joining.name.as_str();
    if exists("SELECT 1 FROM servers WHERE organisation = ?1 AND name = ?2", &[&organisation.0, &name])? {
        return Err(EnrolError::NameTaken(joining.name.clone()));
    }
    if exists("SELECT 1 FROM resources WHERE organisation = ?1 AND name = ?2", &[&organisation.0, &name])? {
        return Err(EnrolError::NameOfResource(joining.name.clone()));
    }
    let sql = "SELECT 1 FROM servers WHERE public_key = ?1 OR previous_key = ?1";
    if exists(sql, &[joining.public_key.as_bytes()])? {
        return Err(EnrolError::KeyTaken);
    }
    Ok(())
}

/// Takes an address; with it comes the generation that the first key there has.
fn allocate(
    tx: &Transaction<'_>,
    organisation: OrganisationId,
    pool: AddressPool,
) -> Result<(MeshAddress, KeyGeneration), EnrolError> {
    let what = "allocate an address";
    let next = tx
        .query_row("SELECT next_address FROM organisations WHERE id = ?1", [organisation.0], |row| row.get(0))
        .during(what)?;
    let oldest = tx
        .query_row(
            "SELECT address, key_generation FROM freed_addresses WHERE organisation = ?1 ORDER BY id LIMIT 1",
            [organisation.0],
            |row| Ok((row.get(0)?, row.get(1)?)),
        )
        .optional()
        .during(what)?;
    let allocation = allocation::choose(pool, next, oldest.map(|(address, _)| address))?;
    let index = allocation.address().index();
    match allocation {
        Allocation::Fresh(_) => {
            let sql = "UPDATE organisations SET next_address = ?2 WHERE id = ?1";
            tx.execute(sql, params![organisation.0, index + 1]).during(what)?;
            Ok((allocation.address(), KeyGeneration::FIRST))
        }
        Allocation::Reused(_) => {
            let sql = "DELETE FROM freed_addresses WHERE organisation = ?1 AND address = ?2";
            tx.execute(sql, params![organisation.0, index]).during(what)?;
            let generation = oldest.map_or(0, |(_, generation)| generation);
            Ok((allocation.address(), KeyGeneration::from_number(generation)))
        }
    }
}

fn insert(
    tx: &Transaction<'_>,
    organisation: OrganisationId,
    joining: &Joining,
    (address, generation): (MeshAddress, KeyGeneration),
    credential_hash: &[u8; 32],
    revision: Revision,
    now: UnixSeconds,
) -> Result<(), StoreError> {
    tx.prepare_cached(
        "INSERT INTO servers (organisation, name, public_key, address, endpoint_ip, endpoint_port, endpoint_origin,
            credential_hash, changed_revision, created_at, key_generation)
            VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .and_then(|mut statement| {
        statement.execute(params![
            organisation.0,
            joining.name.as_str(),
            joining.public_key.as_bytes(),
            address.index(),
            joining.endpoint.map(|endpoint| endpoint.socket.ip().to_string()),
            joining.endpoint.map(|endpoint| endpoint.socket.port()),
            joining.endpoint.map(|endpoint| endpoint.origin.as_str()),
            credential_hash,
            revision.0 as i64,
            now.0,
            generation.number()
        ])
    })
    .during("keep the server")
    .map(drop)
}

/// Why a server may not join.
#[derive(Debug, thiserror::Error)]
pub enum EnrolError {
    /// No token has this secret.
    #[error("no such enrolment token: make one with `servos-control token create`")]
    UnknownToken,
    /// It was revoked.
    #[error("this enrolment token was revoked: make another with `servos-control token create`")]
    TokenRevoked,
    /// Its time is up.
    #[error("this enrolment token has expired: make another with `servos-control token create`")]
    TokenExpired,
    /// It has been used as often as it may be.
    #[error("this enrolment token is used up: make another with `servos-control token create` (--uses, --reusable)")]
    TokenUsedUp,
    /// Another server has the name.
    #[error(
        "there is a server {0} already: choose another name with --name, or, if this is the same server set up anew, \
         run `servos-control server delete {0}` first"
    )]
    NameTaken(DnsLabel),
    /// A resource has the name.
    #[error("{0} is the name of a resource: choose another name with --name")]
    NameOfResource(DnsLabel),
    /// Another server has the key, or had it before its last rotation and may still answer it.
    #[error(
        "another server has this public key, or had it before its last rotation: make a new key; two servers must \
         never share one"
    )]
    KeyTaken,
    /// No address is left.
    #[error(transparent)]
    Exhausted(#[from] Exhausted),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
