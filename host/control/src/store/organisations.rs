//! Organisations: separate meshes. Their revision grows with every change that servers are told of.

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use servos_mesh::limits::MAX_LABEL_TEXT;
use servos_mesh::{HostName, Revision};

use super::error::During;
use super::{Store, StoreError};
use crate::clock::UnixSeconds;
use crate::secrets;

/// Number of an organisation, never used twice.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
pub struct OrganisationId(pub(super) i64);

/// An organisation.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Organisation {
    /// Its number.
    #[serde(skip)]
    pub id: OrganisationId,
    /// Its name.
    pub name: String,
    /// Search domain of its mesh.
    pub domain: HostName,
    /// Revision of its mesh.
    pub revision: Revision,
    /// How many servers it has.
    pub servers: u64,
    /// How many resources it has.
    pub resources: u64,
    /// When it was made.
    pub created_at: UnixSeconds,
}

const SELECT: &str = "SELECT id, name, domain, revision, created_at,
    (SELECT count(*) FROM servers WHERE organisation = o.id),
    (SELECT count(*) FROM resources WHERE organisation = o.id) FROM organisations o";

impl Store {
    /// Makes an organisation: a mesh of its own.
    ///
    /// # Errors
    ///
    /// [`OrganisationError::Name`] for a name that the wire cannot carry, [`OrganisationError::Taken`] for one that
    /// exists.
    pub fn create_organisation(
        &mut self,
        name: &str,
        domain: &HostName,
        now: UnixSeconds,
    ) -> Result<Organisation, OrganisationError> {
        self.write("make the organisation", |tx| insert_organisation(tx, name, domain, now))
    }

    /// All organisations, sorted by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn organisations(&self) -> Result<Vec<Organisation>, StoreError> {
        let what = "list the organisations";
        let mut statement = self.connection.prepare(&format!("{SELECT} ORDER BY name")).during(what)?;
        let rows = statement.query_map([], read).during(what)?.collect::<Result<Vec<_>, _>>().during(what)?;
        rows.into_iter().map(parse).collect()
    }

    /// The organisation of that name; without a name, the only one.
    ///
    /// # Errors
    ///
    /// [`OrganisationError::Unknown`], [`OrganisationError::None`], [`OrganisationError::Which`].
    pub fn organisation(&self, name: Option<&str>) -> Result<Organisation, OrganisationError> {
        let what = "look the organisation up";
        if let Some(name) = name {
            let found = self
                .connection
                .query_row(&format!("{SELECT} WHERE name = ?1"), [name], read)
                .optional()
                .during(what)?;
            return Ok(parse(found.ok_or_else(|| OrganisationError::Unknown(name.to_owned()))?)?);
        }
        let mut all = self.organisations()?;
        match all.len() {
            0 => Err(OrganisationError::None),
            1 => Ok(all.swap_remove(0)),
            _ => {
                let names: Vec<_> = all.iter().take(10).map(|one| one.name.as_str()).collect();
                Err(OrganisationError::Which(names.join(", ")))
            }
        }
    }

    /// Deletes an organisation with its servers, tokens and resources.
    ///
    /// # Errors
    ///
    /// [`OrganisationError::Unknown`].
    pub fn delete_organisation(&mut self, name: &str) -> Result<(), OrganisationError> {
        self.write("delete the organisation", |tx| {
            let deleted = tx.execute("DELETE FROM organisations WHERE name = ?1", [name]).during("delete it")?;
            if deleted == 0 {
                return Err(OrganisationError::Unknown(name.to_owned()));
            }
            Ok(())
        })
    }
}

type Found = (i64, String, String, i64, i64, i64, i64);

fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?, row.get(4)?, row.get(5)?, row.get(6)?))
}

fn parse((id, name, domain, revision, created_at, servers, resources): Found) -> Result<Organisation, StoreError> {
    Ok(Organisation {
        id: OrganisationId(id),
        domain: domain.parse().map_err(|_| StoreError::corrupt(format!("a domain of organisation {name}")))?,
        revision: revision_of(revision)?,
        servers: servers.unsigned_abs(),
        resources: resources.unsigned_abs(),
        created_at: UnixSeconds(created_at),
        name,
    })
}

pub(super) fn insert_organisation(
    tx: &Transaction<'_>,
    name: &str,
    domain: &HostName,
    now: UnixSeconds,
) -> Result<Organisation, OrganisationError> {
    check_name(name)?;
    let what = "make the organisation";
    let taken = tx
        .query_row("SELECT 1 FROM organisations WHERE name = ?1", [name], |_| Ok(()))
        .optional()
        .during(what)?
        .is_some();
    if taken {
        return Err(OrganisationError::Taken(name.to_owned()));
    }
    let mesh = secrets::mesh_id().map_err(StoreError::from)?;
    let revision = now.0.max(1);
    tx.execute(
        "INSERT INTO organisations (mesh, name, domain, revision, next_address, created_at) VALUES (?1, ?2, ?3, ?4, 1, ?5)",
        params![mesh, name, domain.as_str(), revision, now.0],
    )
    .during(what)?;
    Ok(Organisation {
        id: OrganisationId(tx.last_insert_rowid()),
        name: name.to_owned(),
        domain: domain.clone(),
        revision: revision_of(revision)?,
        servers: 0,
        resources: 0,
        created_at: now,
    })
}

fn check_name(name: &str) -> Result<(), OrganisationError> {
    let problem = if name.trim().is_empty() {
        "is empty"
    } else if name.len() > MAX_LABEL_TEXT {
        "is longer than 256 bytes"
    } else if name.chars().any(char::is_control) {
        "has control characters"
    } else if name.trim() != name {
        "starts or ends with a blank"
    } else {
        return Ok(());
    };
    Err(OrganisationError::Name { name: name.chars().take(80).collect(), problem })
}

/// Gives the mesh a higher revision, and returns it.
///
/// A revision is at least the time: a database that was restored from a backup then does not use again, for other
/// contents, the numbers that servers saw before.
pub(super) fn bump(
    tx: &Transaction<'_>,
    organisation: OrganisationId,
    now: UnixSeconds,
) -> Result<Revision, StoreError> {
    let revision = tx
        .prepare_cached("UPDATE organisations SET revision = max(revision + 1, ?2) WHERE id = ?1 RETURNING revision")
        .and_then(|mut statement| statement.query_row(params![organisation.0, now.0], |row| row.get(0)))
        .during("raise the revision")?;
    revision_of(revision)
}

pub(super) fn revision(connection: &Connection, organisation: OrganisationId) -> Result<Revision, StoreError> {
    let revision = connection
        .query_row("SELECT revision FROM organisations WHERE id = ?1", [organisation.0], |row| row.get(0))
        .during("read the revision")?;
    revision_of(revision)
}

pub(super) fn revision_of(number: i64) -> Result<Revision, StoreError> {
    u64::try_from(number).map(Revision).map_err(|_| StoreError::corrupt(format!("revision {number}")))
}

/// Why something cannot be done with an organisation.
#[derive(Debug, thiserror::Error)]
pub enum OrganisationError {
    /// A name that cannot be one.
    #[error("{name:?} is no name for an organisation: it {problem}")]
    Name {
        /// The name.
        name: String,
        /// What is wrong with it.
        problem: &'static str,
    },
    /// A name that exists.
    #[error("there is an organisation {0:?} already")]
    Taken(String),
    /// A name that does not exist.
    #[error("there is no organisation {0:?}: `servos-control organisation list` shows them")]
    Unknown(String),
    /// There is none at all.
    #[error("there is no organisation: make one with `servos-control organisation create NAME`")]
    None,
    /// There are several.
    #[error("there are several organisations: say which with --organisation ({0})")]
    Which(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
