//! What the kit found, for people and for programs.

use std::fmt;

use serde::Serialize;
use servos_sandbox::Kind;

use crate::{CheckId, Latency};

/// The verdict on one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether no check failed.
    pub passed: bool,
    /// The extension point that it serves; none if it does not load.
    pub kind: Option<Kind>,
    /// The interface that it exports, for example `servos:plugin/naming@0.1.0`.
    pub interface: Option<String>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: Option<String>,
    /// Every check that concerns it, in the order of the catalogue.
    pub checks: Vec<Check>,
    /// How long its calls took; none if it answered nothing.
    pub latency: Option<Latency>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Which.
    pub name: CheckId,
    /// How it ended.
    pub outcome: Outcome,
    /// What was seen, or what was wrong and with which question.
    pub detail: String,
}

/// How a check ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// Nothing was wrong.
    Passed,
    /// Nothing that fails a plugin, and something that its author ought to know.
    Warned,
    /// A fault.
    Failed,
    /// Not judged, because of another fault.
    Skipped,
}

impl Report {
    /// The checks that failed.
    pub fn failed(&self) -> impl Iterator<Item = &Check> {
        self.checks.iter().filter(|check| check.outcome == Outcome::Failed)
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{}  {:<18} {}", check.outcome, check.name, check.detail)?;
        }
        if let Some(latency) = &self.latency {
            writeln!(f, "latency: {latency}")?;
        }
        let failed: Vec<_> = self.failed().map(|check| check.name.name()).collect();
        match failed.len() {
            0 => write!(f, "passed: {} checks", self.checks.len()),
            count => write!(f, "failed: {count} of {} checks: {}", self.checks.len(), failed.join(", ")),
        }
    }
}

impl fmt::Display for Outcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self {
            Self::Passed => "PASS",
            Self::Warned => "WARN",
            Self::Failed => "FAIL",
            Self::Skipped => "SKIP",
        })
    }
}
