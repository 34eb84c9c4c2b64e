//! Who is asked, and whose answer counts: drop-ins by file name, then the bundle.

use std::sync::Arc;

use servos_mesh::{Service, Snapshot};

use crate::limits::STOOD_IN;
use crate::naming::{Keep, Outcome, Question, Resolved};
use crate::policy::{PolicyContext, Rule};
use crate::weighting::Candidate;
use crate::{Kind, Plugin, Unanswered};

/// The plugins that run, by extension point, in the order in which they are asked. Immutable.
#[derive(Debug, Default)]
pub(crate) struct Chain {
    naming: Vec<Arc<Plugin>>,
    weighting: Vec<Arc<Plugin>>,
    policy: Vec<Arc<Plugin>>,
}

impl Chain {
    /// A chain of `plugins`, in their order.
    pub fn new(plugins: impl IntoIterator<Item = Arc<Plugin>>) -> Self {
        let mut chain = Self::default();
        for plugin in plugins {
            match plugin.kind() {
                Kind::Naming => chain.naming.push(plugin),
                Kind::Weighting => chain.weighting.push(plugin),
                Kind::Policy => chain.policy.push(plugin),
            }
        }
        chain
    }

    /// What the first naming plugin says that does not pass.
    pub fn resolve(&self, mesh: &Arc<Snapshot>, question: &Question) -> Resolved {
        first_outcome(self.naming.iter().map(|plugin| (plugin.resolve(mesh, question), plugin.keep())))
    }

    /// The weights of the first weighting plugin that gives any.
    pub fn weigh(&self, mesh: &Arc<Snapshot>, service: &Service, candidates: &[Candidate]) -> Option<Vec<u16>> {
        first_answer(self.weighting.iter().map(|plugin| plugin.weigh(mesh, service, candidates)))
    }

    /// The rules of the first policy plugin that gives any.
    pub fn rules(&self, mesh: &Arc<Snapshot>, context: &PolicyContext) -> Option<Vec<Rule>> {
        first_answer(self.policy.iter().map(|plugin| plugin.rules(mesh, context)))
    }
}

/// The first that is neither `Pass` nor missing. Where nobody knew the name, one that gave no answer may have known it;
/// one that is set aside is as if it were not there, or no name would be unknown until an operator looks.
fn first_outcome(outcomes: impl Iterator<Item = (Result<Outcome, Unanswered>, Keep)>) -> Resolved {
    let mut failed = false;
    let mut keep = Keep::UntilRevision;
    for (outcome, allowed) in outcomes {
        keep = keep.min(allowed);
        match outcome {
            Ok(Outcome::Pass) => {}
            Ok(known) => return Resolved { outcome: known, keep },
            Err(unanswered) => {
                failed |= unanswered != Unanswered::Quarantined;
                keep = keep.min(Keep::For(STOOD_IN));
            }
        }
    }
    match failed {
        true => Resolved { outcome: Outcome::Failed, keep: Keep::Never },
        false => Resolved { outcome: Outcome::Pass, keep },
    }
}

fn first_answer<T>(answers: impl Iterator<Item = Result<T, Unanswered>>) -> Option<T> {
    answers.flatten().next()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(outcomes: &[Result<Outcome, Unanswered>]) -> Resolved {
        first_outcome(outcomes.iter().cloned().map(|outcome| (outcome, Keep::UntilRevision)))
    }

    #[test]
    fn a_name_that_a_plugin_at_rest_may_know_is_not_denied_and_one_set_aside_denies_nothing() {
        let pass = || Ok(Outcome::Pass);
        let outcome = |outcomes: &[_]| of(outcomes).outcome;
        assert_eq!(outcome(&[Err(Unanswered::Resting), pass()]), Outcome::Failed);
        assert_eq!(outcome(&[Err(Unanswered::Resting), Ok(Outcome::NoData)]), Outcome::NoData);
        assert_eq!(outcome(&[Err(Unanswered::Quarantined), pass()]), Outcome::Pass);
        assert_eq!(of(&[Err(Unanswered::Quarantined), pass()]).keep, Keep::For(STOOD_IN), "it may be reset");
        assert_eq!(outcome(&[]), Outcome::Pass);
    }
}
