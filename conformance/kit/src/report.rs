//! What the kit found, for people and for programs.

use std::fmt;

use serde::Serialize;
use servos_sandbox::Kind;

/// The verdict on one plugin.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Report {
    /// Whether every check passed.
    pub passed: bool,
    /// The extension point that it serves; none if it does not load.
    pub kind: Option<Kind>,
    /// The interface that it exports, for example `servos:plugin/naming@0.1.0`.
    pub interface: Option<String>,
    /// SHA-256 of the file, in hexadecimal.
    pub sha256: Option<String>,
    /// In the order in which they ran.
    pub checks: Vec<Check>,
}

/// One check.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Check {
    /// Its name, stable.
    pub name: &'static str,
    /// Whether the plugin passed.
    pub passed: bool,
    /// What was seen, or what was wrong and with which question.
    pub detail: String,
}

impl Check {
    /// A check by that name which ended in `Ok` with what was seen, or in `Err` with what was wrong.
    pub(crate) fn new(name: &'static str, result: Result<String, String>) -> Self {
        let passed = result.is_ok();
        Self { name, passed, detail: result.unwrap_or_else(|problem| problem) }
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for check in &self.checks {
            writeln!(f, "{}  {:<24} {}", if check.passed { "PASS" } else { "FAIL" }, check.name, check.detail)?;
        }
        let failed = self.checks.iter().filter(|check| !check.passed).count();
        match failed {
            0 => write!(f, "passed: {} checks", self.checks.len()),
            _ => write!(f, "failed: {failed} of {} checks", self.checks.len()),
        }
    }
}
