//! What a running server holds in memory: copies of the database, kept in step with it, so that a request costs the
//! same whatever the number of servers.
//!
//! Three threads own a connection each: one writes, one answers look-ups and looks for changes, one reads whole
//! meshes. Credentials enter and leave their cache on the second alone, so that a look-up that began before a deletion
//! cannot bring the deleted credential back after it.

mod composed;
mod credentials;
mod encoded;
mod notice;
mod organisation;
mod worker;

use std::collections::HashMap;
use std::path::Path;
use std::sync::Arc;

use parking_lot::{Mutex, RwLock};
use servos_mesh::Revision;
use tokio::sync::Notify;
use tokio::time::Instant;

use crate::allocation::AddressPool;
use crate::secrets::SecretHash;
use crate::store::{Changes, CredentialHolder, Cursor, OrganisationId, Store, StoreError};
use credentials::Credentials;

pub use encoded::{Bounds, EncodedState};
pub use organisation::{LiveOrganisation, PublishError};
pub use worker::{Worker, WorkerError};

/// The copies, and the threads that keep them.
pub struct Live {
    shared: Arc<Shared>,
    /// Up to where the database was looked at when it was opened.
    cursor: Cursor,
    writer: Worker,
    reader: Worker,
    builder: Worker,
}

/// What the threads and the requests share.
struct Shared {
    organisations: RwLock<HashMap<OrganisationId, Arc<LiveOrganisation>>>,
    credentials: Credentials,
    /// Asks for a look at the database before it is due.
    look: Notify,
    looked_at: Mutex<Instant>,
}

impl Live {
    /// Opens the database and takes the first look at it. Blocks.
    ///
    /// # Errors
    ///
    /// [`StoreError`], as [`Store::open`].
    pub fn open(database: &Path, pool: AddressPool) -> Result<Arc<Self>, StoreError> {
        let open = || Store::open_with_pool(database, pool);
        let shared = Arc::new(Shared {
            organisations: RwLock::default(),
            credentials: Credentials::default(),
            look: Notify::new(),
            looked_at: Mutex::new(Instant::now()),
        });
        let (mut reader, mut cursor) = (open()?, Cursor::default());
        reader.changes_since(&mut cursor)?.into_iter().for_each(|changes| shared.take_over(changes));
        let live = Self {
            shared,
            cursor,
            writer: Worker::start("writer", open()?)?,
            reader: Worker::start("reader", reader)?,
            builder: Worker::start("builder", open()?)?,
        };
        Ok(Arc::new(live))
    }

    /// Keeps the copies in step with the database until it is dropped.
    pub async fn follow(self: Arc<Self>) {
        notice::follow(&self.shared, &self.reader, self.cursor).await;
    }

    /// When the database was last looked at without failing.
    pub fn looked_at(&self) -> Instant {
        *self.shared.looked_at.lock()
    }

    /// Whose a credential is; none if nobody's, or if the server was deleted.
    ///
    /// # Errors
    ///
    /// [`LiveError`] if it is not known and the database cannot be asked.
    pub async fn holder(&self, hash: SecretHash) -> Result<Option<CredentialHolder>, LiveError> {
        if let Some(holder) = self.shared.credentials.get(&hash) {
            return Ok(Some(holder));
        }
        let shared = self.shared.clone();
        let look_up = move |store: &mut Store| {
            let holder = store.credential_holder(&hash)?;
            if let Some(holder) = holder {
                shared.credentials.remember(hash, holder);
            }
            Ok(holder)
        };
        self.reader.run(look_up).await?
    }

    /// The organisation, if it exists.
    pub fn organisation(&self, id: OrganisationId) -> Option<Arc<LiveOrganisation>> {
        self.shared.organisations.read().get(&id).cloned()
    }

    /// What the servers of an organisation are told: at least its current revision.
    ///
    /// # Errors
    ///
    /// [`LiveError`]
    pub async fn state(&self, organisation: &Arc<LiveOrganisation>) -> Result<Arc<EncodedState>, LiveError> {
        Ok(organisation.state(&self.builder).await?)
    }

    /// Changes the database. `change` returns the organisation's revision if it raised it; a request that arrives
    /// after this returned sees that revision or a later one.
    ///
    /// # Errors
    ///
    /// [`LiveError`] if the change could not be tried; inside, why it was refused.
    pub async fn change<T, E>(
        &self,
        change: impl FnOnce(&mut Store) -> Result<(T, Option<(OrganisationId, Revision)>), E> + Send + 'static,
    ) -> Result<Result<T, E>, LiveError>
    where
        T: Send + 'static,
        E: Send + 'static,
    {
        let shared = self.shared.clone();
        let changed = self.writer.run(move |store| {
            let (value, raised) = change(store)?;
            if let Some((organisation, revision)) = raised {
                shared.organisation(organisation, revision).at_least(revision);
                shared.look.notify_one();
            }
            Ok(value)
        });
        Ok(changed.await?)
    }

    /// Forgets a credential before the database is looked at again.
    pub fn forget(&self, hash: &SecretHash) {
        self.shared.credentials.forget(hash);
    }
}

impl Shared {
    fn organisation(&self, id: OrganisationId, revision: Revision) -> Arc<LiveOrganisation> {
        if let Some(known) = self.organisations.read().get(&id) {
            return known.clone();
        }
        let mut all = self.organisations.write();
        all.entry(id).or_insert_with(|| Arc::new(LiveOrganisation::new(id, revision))).clone()
    }

    /// Takes over what changed; wakes those who wait on an organisation whose revision did.
    fn take_over(&self, changes: Changes) {
        // Before anybody is woken: whoever was waiting with a void credential must find it void.
        match changes.departed {
            None => self.credentials.forget_all(),
            Some(departed) => departed.iter().for_each(|hash| self.credentials.forget(hash)),
        }
        let gone: Vec<_> = {
            let mut all = self.organisations.write();
            all.extract_if(|id, _| !changes.revisions.contains_key(id)).map(|(_, gone)| gone).collect()
        };
        if !gone.is_empty() {
            self.credentials.keep(|holder| changes.revisions.contains_key(&holder.organisation));
        }
        gone.iter().for_each(|organisation| organisation.close());
        for (id, revision) in changes.revisions {
            self.organisation(id, revision).announce(revision);
        }
    }
}

/// Why a request cannot be answered though nothing is wrong with it.
#[derive(Debug, thiserror::Error)]
pub enum LiveError {
    /// A thread has too much to do, or is gone.
    #[error(transparent)]
    Worker(#[from] WorkerError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The mesh cannot be told.
    #[error(transparent)]
    Publish(#[from] PublishError),
}
