//! What other processes did to the database since one looked last.

use std::collections::HashMap;

use servos_mesh::Revision;

use super::error::During;
use super::organisations::revision_of;
use super::{OrganisationId, Store, StoreError};

/// Up to where one has looked.
#[derive(Clone, Copy, Debug, Default)]
pub struct Cursor {
    /// SQLite's own count of others' commits; differs if there was one.
    data_version: Option<i64>,
    /// Number of the last departure seen.
    departure: Option<i64>,
}

/// What changed.
#[derive(Debug)]
pub struct Changes {
    /// Every organisation with its revision. One that is missing was deleted.
    pub revisions: HashMap<OrganisationId, Revision>,
    /// Hashes of credentials that are void; none: too much happened, forget all of them.
    pub departed: Option<Vec<[u8; 32]>>,
}

impl Store {
    /// What changed since `cursor`, which is moved on. None, after one cheap query, if no other connection committed
    /// anything.
    ///
    /// # Errors
    ///
    /// [`StoreError::Query`]; the cursor stays.
    pub fn changes_since(&mut self, cursor: &mut Cursor) -> Result<Option<Changes>, StoreError> {
        let what = "look for changes";
        let data_version =
            self.connection.pragma_query_value(None, "data_version", |row| row.get::<_, i64>(0)).during(what)?;
        if cursor.data_version == Some(data_version) {
            return Ok(None);
        }
        let seen = cursor.departure;
        let (changes, last) = self.read(what, |tx| {
            let mut revisions = HashMap::new();
            let mut statement = tx.prepare_cached("SELECT id, revision FROM organisations").during(what)?;
            let mut rows = statement.query([]).during(what)?;
            while let Some(row) = rows.next().during(what)? {
                let id = OrganisationId(row.get(0).during(what)?);
                revisions.insert(id, revision_of(row.get(1).during(what)?)?);
            }
            let mut departed = Vec::new();
            let mut last = seen.unwrap_or(0);
            let mut first = None;
            let sql = "SELECT id, credential_hash FROM departures WHERE id > ?1 ORDER BY id";
            let mut statement = tx.prepare_cached(sql).during(what)?;
            let mut rows = statement.query([last]).during(what)?;
            while let Some(row) = rows.next().during(what)? {
                last = row.get(0).during(what)?;
                first.get_or_insert(last);
                departed.push(row.get(1).during(what)?);
            }
            // Numbers have no gaps but where old rows were removed, which one has then not seen.
            let missed = seen.is_some_and(|seen| first.is_some_and(|first| first != seen + 1));
            let departed = if missed { None } else { Some(departed) };
            Ok::<_, StoreError>((Changes { revisions, departed }, last))
        })?;
        *cursor = Cursor { data_version: Some(data_version), departure: Some(last) };
        Ok(Some(changes))
    }
}
