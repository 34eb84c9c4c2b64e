//! Servers: listing, finding, deleting, their endpoint, and whose a credential is.

use std::net::{IpAddr, SocketAddr};

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use servos_mesh::{DnsLabel, KeyGeneration, MeshAddress, PublicKey, Revision};

use super::error::During;
use super::organisations::bump;
use super::{OrganisationId, Store, StoreError};
use crate::clock::UnixSeconds;
use crate::endpoint::{Endpoint, Origin};
use crate::limits::DEPARTURES_KEPT;

/// Number of a server, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ServerId(pub(super) i64);

/// Whose a credential is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct CredentialHolder {
    /// The server.
    pub server: ServerId,
    /// Its organisation.
    pub organisation: OrganisationId,
}

/// A server as it is listed.
#[derive(Clone, Debug, Serialize)]
pub struct Server {
    /// Its name.
    pub name: DnsLabel,
    /// Its address, its own for life.
    pub address: MeshAddress,
    /// Its key.
    pub public_key: PublicKey,
    /// How often the key at its address was changed.
    #[serde(serialize_with = "number")]
    pub key_generation: KeyGeneration,
    /// Where peers reach it, if known.
    pub endpoint: Option<SocketAddr>,
    /// Who says so.
    pub endpoint_origin: Option<Origin>,
    /// Revision at which it last changed.
    pub changed_revision: Revision,
    /// When it joined.
    pub enrolled_at: UnixSeconds,
}

const SELECT: &str = "SELECT name, address, public_key, endpoint_ip, endpoint_port, endpoint_origin, changed_revision,
    created_at, key_generation FROM servers WHERE organisation = ?1";

impl Store {
    /// The servers of an organisation, sorted by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn servers(&self, organisation: OrganisationId) -> Result<Vec<Server>, StoreError> {
        let mut servers = Vec::new();
        each_server(&self.connection, &format!("{SELECT} ORDER BY name"), organisation, |server| servers.push(server))?;
        Ok(servers)
    }

    /// The server of that name, and the names of the resources that have an instance on it.
    ///
    /// # Errors
    ///
    /// [`ServerError::Unknown`].
    pub fn server(&self, organisation: OrganisationId, name: &str) -> Result<(Server, Vec<String>), ServerError> {
        let what = "look the server up";
        let row = self
            .connection
            .query_row(&format!("{SELECT} AND name = ?2"), params![organisation.0, name], read)
            .optional()
            .during(what)?
            .ok_or_else(|| ServerError::Unknown(name.to_owned()))?;
        let sql = "SELECT DISTINCT r.name FROM instances i JOIN resources r ON r.id = i.resource
            JOIN servers s ON s.id = i.server WHERE s.organisation = ?1 AND s.name = ?2 ORDER BY r.name";
        let mut statement = self.connection.prepare(sql).during(what)?;
        let resources = statement.query_map(params![organisation.0, name], |row| row.get(0)).during(what)?;
        let resources = resources.collect::<Result<_, _>>().during(what)?;
        Ok((parse(row)?, resources))
    }

    /// Deletes the server of that name: out of the mesh, its credential void, its instances gone.
    ///
    /// # Errors
    ///
    /// [`ServerError::Unknown`].
    pub fn delete_server(
        &mut self,
        organisation: OrganisationId,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Revision, ServerError> {
        self.write("delete the server", |tx| {
            let sql = "SELECT id FROM servers WHERE organisation = ?1 AND name = ?2";
            let id = tx
                .query_row(sql, params![organisation.0, name], |row| row.get(0))
                .optional()
                .during("look the server up")?
                .ok_or_else(|| ServerError::Unknown(name.to_owned()))?;
            Ok(delete(tx, CredentialHolder { server: ServerId(id), organisation }, now)?)
        })
    }

    /// Deletes the server that asks for it itself. None if it was deleted meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn leave(&mut self, holder: CredentialHolder, now: UnixSeconds) -> Result<Option<Revision>, StoreError> {
        self.write("delete the server", |tx| {
            if !is_there(tx, holder)? {
                return Ok(None);
            }
            delete(tx, holder, now).map(Some)
        })
    }

    /// Keeps where a server is reached. None if that is known already, or the server was deleted meanwhile.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn set_endpoint(
        &mut self,
        holder: CredentialHolder,
        endpoint: Endpoint,
        now: UnixSeconds,
    ) -> Result<Option<Revision>, StoreError> {
        let what = "keep the endpoint";
        self.write(what, |tx| {
            let sql = "SELECT endpoint_ip, endpoint_port, endpoint_origin FROM servers WHERE id = ?1";
            let known = tx
                .query_row(sql, [holder.server.0], |row| {
                    Ok((
                        row.get::<_, Option<String>>(0)?,
                        row.get::<_, Option<u16>>(1)?,
                        row.get::<_, Option<String>>(2)?,
                    ))
                })
                .optional()
                .during(what)?;
            let Some((ip, port, origin)) = known else { return Ok(None) };
            let (told_ip, told_port) = (endpoint.socket.ip().to_string(), endpoint.socket.port());
            let same_place = ip.as_ref() == Some(&told_ip) && port == Some(told_port);
            if same_place && origin.as_deref() == Some(endpoint.origin.as_str()) {
                return Ok(None);
            }
            let sql = "UPDATE servers SET endpoint_ip = ?2, endpoint_port = ?3, endpoint_origin = ?4 WHERE id = ?1";
            tx.execute(sql, params![holder.server.0, told_ip, told_port, endpoint.origin.as_str()]).during(what)?;
            if same_place {
                // Who says so is of no interest to peers.
                return Ok(None);
            }
            let revision = bump(tx, holder.organisation, now)?;
            let sql = "UPDATE servers SET changed_revision = ?2 WHERE id = ?1";
            tx.execute(sql, params![holder.server.0, revision.0 as i64]).during(what)?;
            Ok(Some(revision))
        })
    }

    /// Whose a credential is; none if nobody's.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn credential_holder(&self, credential_hash: &[u8; 32]) -> Result<Option<CredentialHolder>, StoreError> {
        self.connection
            .prepare_cached("SELECT id, organisation FROM servers WHERE credential_hash = ?1")
            .and_then(|mut statement| {
                let read = |row: &Row<'_>| {
                    Ok(CredentialHolder { server: ServerId(row.get(0)?), organisation: OrganisationId(row.get(1)?) })
                };
                statement.query_row([credential_hash], read).optional()
            })
            .during("look the credential up")
    }
}

/// Hands every server of an organisation to `take`, in the order of `sql`.
pub(super) fn each_server(
    connection: &Connection,
    sql: &str,
    organisation: OrganisationId,
    mut take: impl FnMut(Server),
) -> Result<(), StoreError> {
    let what = "read the servers";
    let mut statement = connection.prepare(sql).during(what)?;
    let mut rows = statement.query([organisation.0]).during(what)?;
    while let Some(row) = rows.next().during(what)? {
        take(parse(read(row).during(what)?)?);
    }
    Ok(())
}

/// All servers of an organisation in the order of their addresses.
pub(super) fn servers_by_address() -> String {
    format!("{SELECT} ORDER BY address")
}

struct Found {
    name: String,
    address: u32,
    public_key: [u8; 32],
    ip: Option<String>,
    port: Option<u16>,
    origin: Option<String>,
    changed_revision: i64,
    created_at: i64,
    key_generation: u8,
}

fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        name: row.get(0)?,
        address: row.get(1)?,
        public_key: row.get(2)?,
        ip: row.get(3)?,
        port: row.get(4)?,
        origin: row.get(5)?,
        changed_revision: row.get(6)?,
        created_at: row.get(7)?,
        key_generation: row.get(8)?,
    })
}

fn parse(found: Found) -> Result<Server, StoreError> {
    let corrupt = || StoreError::corrupt(format!("server {:?}", found.name));
    let endpoint = match (&found.ip, found.port) {
        (Some(ip), Some(port)) => Some(SocketAddr::new(ip.parse::<IpAddr>().map_err(|_| corrupt())?, port)),
        _ => None,
    };
    Ok(Server {
        name: found.name.parse().map_err(|_| corrupt())?,
        address: MeshAddress::from_index(found.address).map_err(|_| corrupt())?,
        // One bad key must not take the mesh away from all others: their agents skip it.
        public_key: PublicKey::from_any_bytes(found.public_key).map_err(|_| corrupt())?,
        key_generation: KeyGeneration::from_number(found.key_generation),
        endpoint,
        endpoint_origin: match found.origin.as_deref() {
            Some("told") => Some(Origin::Told),
            Some("observed") => Some(Origin::Observed),
            _ => None,
        },
        changed_revision: super::organisations::revision_of(found.changed_revision)?,
        enrolled_at: UnixSeconds(found.created_at),
    })
}

fn is_there(tx: &Transaction<'_>, holder: CredentialHolder) -> Result<bool, StoreError> {
    let found = tx.query_row("SELECT 1 FROM servers WHERE id = ?1", [holder.server.0], |_| Ok(())).optional();
    Ok(found.during("look the server up")?.is_some())
}

fn delete(tx: &Transaction<'_>, holder: CredentialHolder, now: UnixSeconds) -> Result<Revision, StoreError> {
    let what = "delete the server";
    let (server, organisation) = (holder.server.0, holder.organisation);
    let revision = bump(tx, organisation, now)?;
    let number = revision.0 as i64;
    let sql = "SELECT key_generation FROM servers WHERE id = ?1";
    let generation = tx.query_row(sql, [server], |row| row.get(0)).map(KeyGeneration::from_number).during(what)?;
    let free = "INSERT INTO freed_addresses (organisation, address, key_generation)
        SELECT organisation, address, ?2 FROM servers WHERE id = ?1";
    tx.execute(free, params![server, generation.of_next_owner().number()]).during(what)?;
    let depart =
        "INSERT INTO departures (credential_hash, departed_at) SELECT credential_hash, ?2 FROM servers WHERE id = ?1";
    tx.execute(depart, params![server, now.0]).during(what)?;
    let forget = "DELETE FROM departures WHERE departed_at < ?1";
    tx.execute(forget, [now.before(DEPARTURES_KEPT).0]).during(what)?;
    let touch =
        "UPDATE resources SET changed_revision = ?2 WHERE id IN (SELECT resource FROM instances WHERE server = ?1)";
    tx.execute(touch, params![server, number]).during(what)?;
    tx.execute("DELETE FROM servers WHERE id = ?1", [server]).during(what)?;
    Ok(revision)
}

fn number<S: serde::Serializer>(generation: &KeyGeneration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_u8(generation.number())
}

/// Why something cannot be done with a server.
#[derive(Debug, thiserror::Error)]
pub enum ServerError {
    /// A name that does not exist.
    #[error("there is no server {0:?}: `servos-control server list` shows them")]
    Unknown(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
