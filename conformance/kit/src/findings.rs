//! What is found while a plugin is asked: the first fault of each check, how often it was seen, and what is not judged.

use std::collections::BTreeMap;

use servos_sandbox::Kind;

use crate::limits::DETAIL;
use crate::{Check, CheckId, Outcome};

/// Faults by the check that names them.
#[derive(Debug, Default)]
pub(crate) struct Findings {
    faults: BTreeMap<CheckId, (String, usize)>,
    notes: BTreeMap<CheckId, (Outcome, String)>,
}

impl Findings {
    /// A fault.
    pub fn fault(&mut self, check: CheckId, detail: impl Into<String>) {
        let (_, count) = self.faults.entry(check).or_insert_with(|| (detail.into(), 0));
        *count += 1;
    }

    /// What a check saw while nothing was wrong.
    pub fn seen(&mut self, check: CheckId, detail: impl Into<String>) {
        self.notes.insert(check, (Outcome::Passed, detail.into()));
    }

    /// What is no fault, and worth knowing.
    pub fn warn(&mut self, check: CheckId, detail: impl Into<String>) {
        self.notes.insert(check, (Outcome::Warned, detail.into()));
    }

    /// Why a check cannot be judged.
    pub fn skip(&mut self, check: CheckId, reason: impl Into<String>) {
        self.notes.insert(check, (Outcome::Skipped, reason.into()));
    }

    /// Whether that check has a fault.
    pub fn has(&self, check: CheckId) -> bool {
        self.faults.contains_key(&check)
    }

    /// Every check that concerns a plugin of that kind; of an unknown kind, those that concern every plugin, and what
    /// failed.
    pub fn into_checks(self, kind: Option<Kind>) -> Vec<Check> {
        let concerns =
            |check: &CheckId| self.has(*check) || check.kind().is_none_or(|concerned| Some(concerned) == kind);
        CheckId::ALL.into_iter().filter(concerns).map(|name| self.check(name)).collect()
    }

    fn check(&self, name: CheckId) -> Check {
        let (outcome, detail) = match (self.faults.get(&name), self.notes.get(&name)) {
            (Some((detail, 1)), _) => (Outcome::Failed, detail.clone()),
            (Some((detail, count)), _) => (Outcome::Failed, format!("{detail} ({count} times the like)")),
            (None, Some((outcome, detail))) => (*outcome, detail.clone()),
            (None, None) => (Outcome::Passed, name.meaning().to_owned()),
        };
        Check { name, outcome, detail: shortened(&detail) }
    }
}

/// At most [`DETAIL`] characters: an answer may be long.
fn shortened(text: &str) -> String {
    match text.char_indices().nth(DETAIL) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_owned(),
    }
}
