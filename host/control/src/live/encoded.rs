//! A revision as it is sent: whole, and as what changed since one of the revisions before it.

use std::sync::Arc;

use bytes::Bytes;
use servos_mesh::{MeshDelta, MeshState, Revision};
use tracing::error;

use super::composed::Composed;
use crate::limits::{MAX_COMPOSED_BYTES, MAX_REMEMBERED_BYTES, MAX_REMEMBERED_REVISIONS};

/// How much is remembered of what changed.
#[derive(Clone, Copy, Debug)]
pub struct Bounds {
    /// Steps from one revision to the next.
    pub steps: usize,
    /// Bytes of them.
    pub bytes: usize,
    /// Bytes of deltas over several steps, for one revision.
    pub composed_bytes: usize,
}

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
    composed: Arc<Composed>,
    bounds: Bounds,
}

impl Default for Bounds {
    fn default() -> Self {
        Self { steps: MAX_REMEMBERED_REVISIONS, bytes: MAX_REMEMBERED_BYTES, composed_bytes: MAX_COMPOSED_BYTES }
    }
}

impl EncodedState {
    /// The first revision that is encoded.
    pub fn first(state: MeshState, bounds: Bounds) -> Self {
        Self::led_to_by(Vec::new(), state, bounds)
    }

    /// The revision that is encoded after this one.
    pub fn next(&self, state: MeshState) -> Self {
        Self::led_to_by(self.steps_to(&state), state, self.bounds)
    }

    fn led_to_by(steps: Vec<Arc<MeshDelta>>, state: MeshState, bounds: Bounds) -> Self {
        let (revision, body) = (state.revision(), state.body().clone());
        let composed = Composed::with_room(bounds.composed_bytes);
        Self { revision, body, state, steps: steps.into(), composed, bounds }
    }

    /// Whether what changed since `base` can be told.
    pub fn is_remembered(&self, base: Revision) -> bool {
        self.step_from(base).is_some()
    }

    /// What changed since `base`, the same for every server that asks. None if it is not remembered, or if the whole is
    /// no longer.
    pub async fn delta_from(&self, base: Revision) -> Option<Bytes> {
        let from = self.step_from(base)?;
        let (steps, limit) = (self.steps.clone(), self.body.len());
        if let [step] = &steps[from..] {
            return Some(step.body().clone()).filter(|delta| delta.len() < limit);
        }
        self.composed.get(base, move || compose(&steps[from..]).filter(|delta| delta.len() < limit)).await
    }

    /// Where the steps from `base` on begin.
    fn step_from(&self, base: Revision) -> Option<usize> {
        self.steps.binary_search_by_key(&base, |step| step.base()).ok()
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
            .take(self.bounds.steps)
            .take_while(|step| {
                bytes += step.body().len();
                bytes <= self.bounds.bytes
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
