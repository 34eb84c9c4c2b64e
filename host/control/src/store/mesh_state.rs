//! One revision of an organisation's mesh, as servers are told it.

use rusqlite::{OptionalExtension, params};
use servos_mesh::{MeshStateBuilder, PeerEntry};

use super::error::During;
use super::organisations::revision_of;
use super::resources::stored_resources;
use super::servers::{each_server, servers_by_address};
use super::{OrganisationId, Store, StoreError};

impl Store {
    /// Everything that the servers of an organisation are told, at one moment. None if it was deleted.
    ///
    /// # Errors
    ///
    /// [`StoreError`]
    pub fn mesh_state(&mut self, organisation: OrganisationId) -> Result<Option<MeshStateBuilder>, StoreError> {
        let what = "read the mesh";
        self.read(what, |tx| {
            let sql = "SELECT mesh, name, domain, revision FROM organisations WHERE id = ?1";
            let row = tx
                .query_row(sql, params![organisation.0], |row| {
                    Ok((row.get::<_, [u8; 16]>(0)?, row.get::<_, String>(1)?, row.get::<_, String>(2)?, row.get(3)?))
                })
                .optional()
                .during(what)?;
            let Some((mesh, name, domain, revision)) = row else { return Ok(None) };
            let domain = domain.parse().map_err(|_| StoreError::corrupt(format!("a domain of organisation {name}")))?;
            let mut builder = MeshStateBuilder::new(mesh, name, domain, revision_of(revision)?);
            each_server(tx, &servers_by_address(), organisation, |server| {
                builder.peer(PeerEntry {
                    public_key: server.public_key,
                    key_generation: server.key_generation,
                    endpoint: server.endpoint,
                    address: server.address,
                    name: server.name,
                    since: server.changed_revision,
                });
            })?;
            for stored in stored_resources(tx, organisation)?.into_values() {
                let places = stored.places.iter().map(|place| (place.address, place.port, place.weight)).collect();
                builder.service(stored.service, places);
            }
            Ok(Some(builder))
        })
    }
}
