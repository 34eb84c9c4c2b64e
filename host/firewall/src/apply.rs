//! Brings ufw to a plan, one command at a time.
//!
//! After each command ufw is read again: the operator may have changed it in between, and ufw says «0» also to a
//! deletion that deleted nothing. What is left is then planned anew. What was done stays, whatever fails behind it.

use std::fmt;
use std::path::Path;

use serde::Serialize;
use tracing::{info, warn};

use crate::command::run;
use crate::existing::ExistingRule;
use crate::facts::{Facts, UfwState};
use crate::guard_rails::ssh_needs;
use crate::limits::{MAX_FAILURES_IN_A_ROW, MAX_STEPS};
use crate::plan::{FirewallPlan, Kept, Refused, Step, enabling_objection};

/// What a run did.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct FirewallReport {
    /// What ufw is found in afterwards. None: not looked at, because the settings say `mode = "off"`.
    pub ufw: Option<UfwState>,
    /// Commands whose effect was seen.
    pub done: Vec<Step>,
    /// Commands without their effect.
    pub failed: Vec<Failure>,
    /// Commands that were not tried, because too many before them failed.
    pub left: Vec<Step>,
    /// As in the plan.
    pub kept: Vec<Kept>,
    /// As in the plan.
    pub refused: Vec<Refused>,
    /// As in the plan.
    pub notes: Vec<String>,
}

/// A command without its effect.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Failure {
    /// What was run.
    pub step: Step,
    /// What went wrong.
    pub error: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}: {}", self.step, self.error)
    }
}

impl FirewallReport {
    /// Whether ufw is as it was planned.
    pub fn is_complete(&self) -> bool {
        self.failed.is_empty() && self.left.is_empty()
    }

    /// A report of a plan of which nothing was done yet.
    pub(crate) fn of(plan: FirewallPlan) -> Self {
        let FirewallPlan { ufw, steps, kept, refused, notes } = plan;
        Self { ufw, left: steps, kept, refused, notes, ..Self::default() }
    }
}

/// Runs what `planner` asks for until it asks for nothing that has not failed already.
pub(crate) async fn apply(ufw: &Path, mut facts: Facts, planner: impl Fn(&Facts) -> FirewallPlan) -> FirewallReport {
    let mut done = Vec::new();
    let mut failed: Vec<Failure> = Vec::new();
    let mut in_a_row = 0;
    for _ in 0..MAX_STEPS {
        let tried = |step: &Step| failed.iter().any(|failure| failure.step == *step);
        let next = planner(&facts).steps.into_iter().find(|step| !tried(step));
        let Some(step) = next.filter(|_| in_a_row < MAX_FAILURES_IN_A_ROW) else {
            break;
        };
        match perform(&step, ufw, &mut facts).await {
            Ok(()) => {
                info!(command = %step, "firewall changed");
                in_a_row = 0;
                done.push(step);
            }
            Err(error) => {
                warn!(command = %step, error, "firewall not changed");
                in_a_row += 1;
                failed.push(Failure { step, error });
            }
        }
    }
    let mut report = FirewallReport::of(planner(&facts));
    report.left.retain(|step| !failed.iter().any(|failure| failure.step == *step));
    FirewallReport { done, failed, ..report }
}

/// Runs one command and looks for its effect.
async fn perform(step: &Step, ufw: &Path, facts: &mut Facts) -> Result<(), String> {
    if let Some(objection) = objection(step, facts) {
        return Err(objection);
    }
    let ran = run(ufw, &step.arguments()).await;
    // Read in any case: a command that failed may have done half of its work.
    let read = facts.read_ufw_again(ufw).await;
    let said = ran.map_err(|error| in_full(&error))?;
    read.map_err(|error| format!("cannot read ufw after the change: {}", in_full(&error)))?;
    match took_effect(step, facts) {
        true => Ok(()),
        false => Err(format!("ufw says {:?}, and its rules do not show it", said.trim())),
    }
}

/// Why a step of a plan must not be done with the rules as they are at this moment: one before it may have failed.
fn objection(step: &Step, facts: &Facts) -> Option<String> {
    match step {
        Step::Set(_) => None,
        Step::Delete(rule) if facts.ufw == UfwState::Active => {
            ssh_needs(&facts.rules, |other: &ExistingRule| other != rule, &[], &facts.ssh_ports)
        }
        Step::Delete(_) => None,
        Step::Enable => enabling_objection(facts, &[]),
    }
}

fn took_effect(step: &Step, facts: &Facts) -> bool {
    match step {
        Step::Set(rule) => facts.rules.iter().filter_map(ExistingRule::own).any(|own| own == *rule),
        Step::Delete(rule) => !facts.rules.contains(rule),
        Step::Enable => facts.ufw == UfwState::Active,
    }
}

/// An error with what it comes from.
fn in_full(error: &dyn std::error::Error) -> String {
    let sources = std::iter::successors(Some(error), |error| error.source());
    sources.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
