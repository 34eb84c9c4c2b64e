//! Resources and their instances: applied from a file, all of it or nothing; only what differs is written.

use std::collections::{BTreeMap, HashMap};
use std::time::Duration;

use rusqlite::{Connection, OptionalExtension, Row, Transaction, params};
use serde::Serialize;
use servos_mesh::limits::MAX_SERVICES;
use servos_mesh::{DnsLabel, HealthCheck, HostName, MeshAddress, Protocol, Revision, Service};

use super::error::During;
use super::organisations::{bump, revision};
use super::{OrganisationId, Store, StoreError};
use crate::clock::UnixSeconds;
use crate::resources_file::{Placement, Problems, Resource, ResourcesFile};

/// How a file is applied.
#[derive(Clone, Copy, Debug, Default)]
pub struct ApplyMode {
    /// Remove resources that are not in the file.
    pub prune: bool,
    /// Only say what would be done.
    pub dry_run: bool,
}

/// What applying a file did.
#[derive(Clone, Debug, Serialize)]
pub struct Applied {
    /// Revision of the mesh afterwards.
    pub revision: Revision,
    /// Whether nothing was done.
    pub dry_run: bool,
    /// In the order of their names.
    pub resources: Vec<ResourceChange>,
}

/// What happened to one resource.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ResourceChange {
    /// Which.
    pub name: DnsLabel,
    /// What.
    pub action: ResourceAction,
}

/// What happened to a resource.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum ResourceAction {
    /// It did not exist.
    Created,
    /// It differed.
    Changed,
    /// It is as it was.
    Unchanged,
    /// It is gone.
    Removed,
}

impl Store {
    /// Brings the resources that a file names to what it says. Unless all of it is good nothing is done; unless
    /// something differs the revision stays.
    ///
    /// # Errors
    ///
    /// [`ApplyError::Problems`] with every problem of the file.
    pub fn apply_resources(
        &mut self,
        organisation: OrganisationId,
        file: &ResourcesFile,
        mode: ApplyMode,
        now: UnixSeconds,
    ) -> Result<Applied, ApplyError> {
        self.write("apply the resources", |tx| {
            let servers = server_ids(tx, organisation, file)?;
            let wanted = file.check(|name| servers.contains_key(name))?;
            let present = stored_resources(tx, organisation)?;
            let changes = compare(&wanted, &present, mode.prune);
            let removed = changes.iter().filter(|change| change.action == ResourceAction::Removed).count();
            let created = changes.iter().filter(|change| change.action == ResourceAction::Created).count();
            if present.len() + created - removed > MAX_SERVICES {
                return Err(ApplyError::TooMany);
            }
            let nothing = changes.iter().all(|change| change.action == ResourceAction::Unchanged);
            if nothing || mode.dry_run {
                let revision = revision(tx, organisation)?;
                return Ok(Applied { revision, dry_run: mode.dry_run, resources: changes });
            }
            let revision = bump(tx, organisation, now)?;
            let wanted: HashMap<_, _> = wanted.iter().map(|resource| (&resource.service.name, resource)).collect();
            for change in &changes {
                if matches!(change.action, ResourceAction::Changed | ResourceAction::Removed) {
                    remove(tx, organisation, &change.name)?;
                }
                if matches!(change.action, ResourceAction::Changed | ResourceAction::Created)
                    && let Some(resource) = wanted.get(&change.name)
                {
                    insert(tx, organisation, resource, &servers, revision)?;
                }
            }
            Ok(Applied { revision, dry_run: false, resources: changes })
        })
    }

    /// The resources of an organisation, sorted by name.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn resources(&self, organisation: OrganisationId) -> Result<Vec<Resource>, StoreError> {
        Ok(stored_resources(&self.connection, organisation)?.into_values().map(StoredResource::into_resource).collect())
    }

    /// The resource of that name.
    ///
    /// # Errors
    ///
    /// [`ResourceError::Unknown`].
    pub fn resource(&self, organisation: OrganisationId, name: &str) -> Result<Resource, ResourceError> {
        let mut all = stored_resources(&self.connection, organisation)?;
        let found = all.remove(name).ok_or_else(|| ResourceError::Unknown(name.to_owned()))?;
        Ok(found.into_resource())
    }

    /// Deletes the resource of that name.
    ///
    /// # Errors
    ///
    /// [`ResourceError::Unknown`].
    pub fn delete_resource(
        &mut self,
        organisation: OrganisationId,
        name: &str,
        now: UnixSeconds,
    ) -> Result<Revision, ResourceError> {
        self.write("delete the resource", |tx| {
            if remove(tx, organisation, name)? == 0 {
                return Err(ResourceError::Unknown(name.to_owned()));
            }
            Ok(bump(tx, organisation, now)?)
        })
    }
}

/// A resource as it stands in the database.
pub(super) struct StoredResource {
    pub service: Service,
    /// Sorted by name of the server and port.
    pub places: Vec<StoredPlace>,
}

pub(super) struct StoredPlace {
    pub server: DnsLabel,
    pub address: MeshAddress,
    pub port: u16,
    pub weight: u16,
}

impl StoredResource {
    fn into_resource(self) -> Resource {
        let placement = |place: StoredPlace| Placement { server: place.server, port: place.port, weight: place.weight };
        Resource { service: self.service, instances: self.places.into_iter().map(placement).collect() }
    }

    fn is(&self, wanted: &Resource) -> bool {
        let same = |(stored, wanted): (&StoredPlace, &Placement)| {
            stored.server == wanted.server && stored.port == wanted.port && stored.weight == wanted.weight
        };
        self.service == wanted.service
            && self.places.len() == wanted.instances.len()
            && self.places.iter().zip(&wanted.instances).all(same)
    }
}

fn compare(wanted: &[Resource], present: &BTreeMap<DnsLabel, StoredResource>, prune: bool) -> Vec<ResourceChange> {
    let mut actions = BTreeMap::new();
    if prune {
        actions.extend(present.keys().map(|name| (name.clone(), ResourceAction::Removed)));
    }
    for resource in wanted {
        let name = &resource.service.name;
        let action = match present.get(name) {
            None => ResourceAction::Created,
            Some(stored) if stored.is(resource) => ResourceAction::Unchanged,
            Some(_) => ResourceAction::Changed,
        };
        actions.insert(name.clone(), action);
    }
    actions.into_iter().map(|(name, action)| ResourceChange { name, action }).collect()
}

/// Ids of those names of the file that are servers.
fn server_ids(
    tx: &Transaction<'_>,
    organisation: OrganisationId,
    file: &ResourcesFile,
) -> Result<HashMap<String, i64>, StoreError> {
    let what = "look the servers up";
    let mut found = HashMap::new();
    let mut statement = tx.prepare("SELECT id FROM servers WHERE organisation = ?1 AND name = ?2").during(what)?;
    for name in file.names() {
        let id = statement.query_row(params![organisation.0, name], |row| row.get(0)).optional().during(what)?;
        if let Some(id) = id {
            found.insert(name.to_owned(), id);
        }
    }
    Ok(found)
}

/// All resources of an organisation by name.
pub(super) fn stored_resources(
    connection: &Connection,
    organisation: OrganisationId,
) -> Result<BTreeMap<DnsLabel, StoredResource>, StoreError> {
    let what = "read the resources";
    let mut by_id = HashMap::new();
    let sql = "SELECT id, name, protocol, port, mesh_failover, hosts, labels, health_path, health_interval_ms,
        health_timeout_ms FROM resources WHERE organisation = ?1";
    let mut statement = connection.prepare_cached(sql).during(what)?;
    let mut rows = statement.query([organisation.0]).during(what)?;
    while let Some(row) = rows.next().during(what)? {
        let id: i64 = row.get(0).during(what)?;
        let service = parse(read(row).during(what)?)?;
        by_id.insert(id, StoredResource { service, places: Vec::new() });
    }
    let sql = "SELECT i.resource, s.name, s.address, i.port, i.weight FROM resources r
        JOIN instances i ON i.resource = r.id JOIN servers s ON s.id = i.server
        WHERE r.organisation = ?1 ORDER BY i.resource, s.name, i.port";
    let mut statement = connection.prepare_cached(sql).during(what)?;
    let mut rows = statement.query([organisation.0]).during(what)?;
    while let Some(row) = rows.next().during(what)? {
        let corrupt = |_| StoreError::corrupt("an instance");
        let server: String = row.get(1).during(what)?;
        let place = StoredPlace {
            server: server.parse().map_err(|_| StoreError::corrupt("an instance"))?,
            address: MeshAddress::from_index(row.get(2).during(what)?).map_err(corrupt)?,
            port: row.get(3).during(what)?,
            weight: row.get(4).during(what)?,
        };
        if let Some(stored) = by_id.get_mut(&row.get(0).during(what)?) {
            stored.places.push(place);
        }
    }
    Ok(by_id.into_values().map(|stored| (stored.service.name.clone(), stored)).collect())
}

struct Found {
    name: String,
    protocol: String,
    port: u16,
    mesh_failover: bool,
    hosts: String,
    labels: String,
    health: (Option<String>, Option<u32>, Option<u32>),
}

fn read(row: &Row<'_>) -> rusqlite::Result<Found> {
    Ok(Found {
        name: row.get(1)?,
        protocol: row.get(2)?,
        port: row.get(3)?,
        mesh_failover: row.get(4)?,
        hosts: row.get(5)?,
        labels: row.get(6)?,
        health: (row.get(7)?, row.get(8)?, row.get(9)?),
    })
}

fn parse(found: Found) -> Result<Service, StoreError> {
    let corrupt = || StoreError::corrupt(format!("resource {:?}", found.name));
    let millis = |number: u32| Duration::from_millis(number.into());
    Ok(Service {
        name: found.name.parse().map_err(|_| corrupt())?,
        protocol: match found.protocol.as_str() {
            "http" => Protocol::Http,
            "tcp" => Protocol::Tcp,
            "udp" => Protocol::Udp,
            _ => return Err(corrupt()),
        },
        port: found.port,
        mesh_failover: found.mesh_failover,
        hosts: serde_json::from_str::<Vec<HostName>>(&found.hosts).map_err(|_| corrupt())?,
        labels: serde_json::from_str(&found.labels).map_err(|_| corrupt())?,
        health_check: match found.health {
            (path, Some(interval), Some(timeout)) => {
                Some(HealthCheck { path, interval: millis(interval), timeout: millis(timeout) })
            }
            _ => None,
        },
        instances: Vec::new(),
    })
}

fn insert(
    tx: &Transaction<'_>,
    organisation: OrganisationId,
    resource: &Resource,
    servers: &HashMap<String, i64>,
    revision: Revision,
) -> Result<(), StoreError> {
    let what = "keep the resource";
    let service = &resource.service;
    let json = |text: serde_json::Result<String>| text.map_err(|_| StoreError::corrupt("a text that is no text"));
    // The wire counts whole milliseconds in 32 bits; a checked file holds no other durations.
    let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    let health = service.health_check.as_ref();
    tx.prepare_cached(
        "INSERT INTO resources (organisation, name, protocol, port, mesh_failover, hosts, labels, health_path,
            health_interval_ms, health_timeout_ms, changed_revision) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11)",
    )
    .during(what)?
    .execute(params![
        organisation.0,
        service.name.as_str(),
        service.protocol.as_str(),
        service.port,
        service.mesh_failover,
        json(serde_json::to_string(&service.hosts))?,
        json(serde_json::to_string(&service.labels))?,
        health.and_then(|check| check.path.as_deref()),
        health.map(|check| millis(check.interval)),
        health.map(|check| millis(check.timeout)),
        revision.0 as i64
    ])
    .during(what)?;
    let id = tx.last_insert_rowid();
    let mut statement = tx
        .prepare_cached("INSERT INTO instances (resource, server, port, weight) VALUES (?1, ?2, ?3, ?4)")
        .during(what)?;
    for instance in &resource.instances {
        let server = servers.get(instance.server.as_str());
        statement.execute(params![id, server, instance.port, instance.weight]).during(what)?;
    }
    Ok(())
}

fn remove(tx: &Transaction<'_>, organisation: OrganisationId, name: impl AsRef<str>) -> Result<usize, StoreError> {
    let sql = "DELETE FROM resources WHERE organisation = ?1 AND name = ?2";
    tx.execute(sql, params![organisation.0, name.as_ref()]).during("delete the resource")
}

/// Why a file was not applied. Nothing of it was.
#[derive(Debug, thiserror::Error)]
pub enum ApplyError {
    /// The file is not good.
    #[error(transparent)]
    Problems(#[from] Problems),
    /// More than the wire carries.
    #[error("an organisation may have {MAX_SERVICES} resources: remove some, or split the organisation")]
    TooMany,
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why something cannot be done with a resource.
#[derive(Debug, thiserror::Error)]
pub enum ResourceError {
    /// A name that does not exist.
    #[error("there is no resource {0:?}: `servos-control resource list` shows them")]
    Unknown(String),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
}
