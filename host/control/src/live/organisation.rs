//! One organisation in memory: its revision, who waits for the next, and the encoded mesh that all its servers share.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::RwLock;
use servos_mesh::{Revision, WireError};
use tokio::sync::{Mutex, watch};
use tracing::{debug, error};

use super::encoded::{Bounds, EncodedState};
use super::worker::{Worker, WorkerError};
use crate::store::{OrganisationId, Store, StoreError};

/// An organisation.
#[derive(Debug)]
pub struct LiveOrganisation {
    id: OrganisationId,
    /// The newest revision that everybody who waits was told of; none when the organisation was deleted.
    announced: watch::Sender<Option<Revision>>,
    /// A revision that somebody was promised and that may not be announced yet: announcing waits a little, so that a
    /// hundred servers that join wake everybody a few times and not a hundred times.
    promised: AtomicU64,
    encoded: RwLock<Option<Arc<EncodedState>>>,
    /// Held by the one request that has the mesh encoded, while others wait for it.
    encoding: Mutex<()>,
}

impl LiveOrganisation {
    pub(super) fn new(id: OrganisationId, revision: Revision) -> Self {
        Self {
            id,
            announced: watch::Sender::new(Some(revision)),
            promised: AtomicU64::new(revision.0),
            encoded: RwLock::default(),
            encoding: Mutex::default(),
        }
    }

    /// The revision that an answer must have, or a later one. None if the organisation was deleted.
    pub fn revision(&self) -> Option<Revision> {
        let announced = (*self.announced.borrow())?;
        Some(announced.max(Revision(self.promised.load(Ordering::Acquire))))
    }

    /// Tells of every change of the revision.
    pub fn subscribe(&self) -> watch::Receiver<Option<Revision>> {
        self.announced.subscribe()
    }

    /// Whether a revision was encoded since the process started: from there on what changes can be told.
    pub fn is_encoded(&self) -> bool {
        self.encoded.read().is_some()
    }

    /// From here on no answer is older than `revision`.
    pub(super) fn at_least(&self, revision: Revision) {
        self.promised.fetch_max(revision.0, Ordering::AcqRel);
    }

    /// Wakes everybody who waits, if the revision differs.
    pub(super) fn announce(&self, revision: Revision) {
        self.announced.send_if_modified(|announced| {
            let differs = *announced != Some(revision);
            *announced = Some(revision);
            differs
        });
    }

    /// Wakes everybody who waits: the organisation is no more.
    pub(super) fn close(&self) {
        self.announced.send_replace(None);
    }

    /// The encoded mesh, at least of the current revision. Encoded once, whoever asks for it.
    pub(super) async fn state(self: &Arc<Self>, builder: &Worker) -> Result<Arc<EncodedState>, PublishError> {
        let wanted = self.revision().ok_or(PublishError::Gone)?;
        if let Some(fresh) = self.fresh(wanted) {
            return Ok(fresh);
        }
        let _one_at_a_time = self.encoding.lock().await;
        // Somebody else may have had it encoded while this request waited.
        if let Some(fresh) = self.fresh(wanted) {
            return Ok(fresh);
        }
        let organisation = self.clone();
        builder
            .run(move |store| {
                // The request that asked first may have gone away and left the job behind.
                organisation.fresh(wanted).map_or_else(|| organisation.encode(store), Ok)
            })
            .await?
    }

    fn fresh(&self, wanted: Revision) -> Option<Arc<EncodedState>> {
        self.encoded.read().as_ref().filter(|encoded| encoded.revision >= wanted).cloned()
    }

    fn encode(&self, store: &mut Store) -> Result<Arc<EncodedState>, PublishError> {
        let builder = store.mesh_state(self.id)?.ok_or(PublishError::Gone)?;
        let state = builder.build().map_err(|source| {
            error!(%source, "the mesh does not encode; servers keep what they have");
            PublishError::Encode(source)
        })?;
        let before = self.encoded.read().clone();
        let encoded = Arc::new(match before {
            Some(before) => before.next(state),
            None => EncodedState::first(state, Bounds::default()),
        });
        debug!(revision = %encoded.revision, bytes = encoded.body.len(), "mesh encoded");
        *self.encoded.write() = Some(encoded.clone());
        Ok(encoded)
    }
}

/// Why an organisation's mesh cannot be told.
#[derive(Debug, thiserror::Error)]
pub enum PublishError {
    /// It was deleted.
    #[error("the organisation was deleted")]
    Gone,
    /// What the database holds cannot be encoded.
    #[error("the mesh cannot be encoded")]
    Encode(#[source] WireError),
    /// The database.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// The thread.
    #[error(transparent)]
    Worker(#[from] WorkerError),
}
