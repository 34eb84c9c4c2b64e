//! A revision as it is sent: whole, and as what changed since one of the revisions before it.

use std::sync::Arc;

use bytes::Bytes;
use servos_mesh::{MeshDelta, MeshState, Revision};
use tracing::error;

use super::composed::Composed;
use crate::limits::{MAX_REMEMBERED_BYTES, MAX_REMEMBERED_REVISIONS};

/// See the module. Never changed; the next revision remembers what it needs of this one.
#[derive(Debug)]
pub struct EncodedState {
    /// Which.
    pub revision: Revision,
    /// The body, the same for every server.
    pub body: Bytes,
    state: MeshState,
    /// What led here, the latest last; each begins where the one before it ends.
    steps: Arc<[Arc<MeshDelta>]>,
    /// Deltas from revisions that somebody asked for.
    composed: Composed,
}

impl EncodedState {
    /// A revision, and how it follows from the one that was encoded before it.
    pub(super) fn after(before: Option<&Self>, state: MeshState) -> Self {
        let steps = before.map(|before| before.steps_to(&state)).unwrap_or_default();
        let (revision, body) = (state.revision(), state.body().clone());
        Self { revision, body, state, steps: steps.into(), composed: Composed::default() }
    }

    /// Whether what changed since `base` can be told.
    pub fn is_remembered(&self, base: Revision) -> bool {
        self.steps.iter().any(|step| step.base() == base)
    }

    /// What changed since `base`, the same for every server that asks. None if it is not remembered, or if the whole is
    /// no longer.
    pub async fn delta_from(&self, base: Revision) -> Option<Bytes> {
        let from = self.steps.iter().position(|step| step.base() == base)?;
        let (steps, limit) = (self.steps.clone(), self.body.len());
        if let [step] = &steps[from..] {
            return Some(step.body().clone()).filter(|delta| delta.len() < limit);
        }
        self.composed.get(base, move || compose(&steps[from..]).filter(|delta| delta.len() < limit)).await
    }

    /// The steps that lead to `next`: those that led here and one more, as many as are worth to be remembered.
    fn steps_to(&self, next: &MeshState) -> Vec<Arc<MeshDelta>> {
        let step = match MeshDelta::between(&self.state, next) {
            Ok(Some(step)) => Arc::new(step),
            Ok(None) => return Vec::new(),
            Err(source) => {
                error!(%source, "what changed in the mesh does not encode; servers get it whole");
                return Vec::new();
            }
        };
        let mut bytes = 0;
        let all = self.steps.iter().cloned().chain([step]).rev();
        let mut steps: Vec<_> = all
            .take(MAX_REMEMBERED_REVISIONS)
            .take_while(|step| {
                bytes += step.body().len();
                bytes <= MAX_REMEMBERED_BYTES
            })
            .collect();
        steps.reverse();
        steps
    }
}

fn compose(steps: &[Arc<MeshDelta>]) -> Option<Bytes> {
    match MeshDelta::compose(steps.iter().map(|step| &**step)) {
        Ok(delta) => Some(delta?.body().clone()),
        Err(source) => {
            error!(%source, "what changed in the mesh does not encode; servers get it whole");
            None
        }
    }
}
