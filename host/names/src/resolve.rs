//! `Resolve`: whoever says what a name means. In the agent, the plugins.

use std::sync::Arc;

use servos_mesh::Snapshot;
use servos_sandbox::PluginHost;
use servos_sandbox::naming::{Keep, Outcome, Question, Resolved};
use tokio::sync::watch;

/// Says what names mean.
pub trait Resolve: Send + Sync + 'static {
    /// What a name means in `mesh`. May block.
    fn resolve(&self, mesh: &Arc<Snapshot>, question: &Question) -> Outcome;

    /// The same, and how long it may be kept: until the mesh or `changes` change, unless whoever answers says otherwise.
    fn resolve_to_keep(&self, mesh: &Arc<Snapshot>, question: &Question) -> Resolved {
        Resolved { outcome: self.resolve(mesh, question), keep: Keep::UntilRevision }
    }

    /// A number that changes when the same question may have another answer though `mesh` is the same.
    fn changes(&self) -> watch::Receiver<u64>;
}

impl Resolve for PluginHost {
    fn resolve(&self, mesh: &Arc<Snapshot>, question: &Question) -> Outcome {
        PluginHost::resolve(self, mesh, question)
    }

    fn resolve_to_keep(&self, mesh: &Arc<Snapshot>, question: &Question) -> Resolved {
        PluginHost::resolve_to_keep(self, mesh, question)
    }

    fn changes(&self) -> watch::Receiver<u64> {
        PluginHost::changes(self)
    }
}
