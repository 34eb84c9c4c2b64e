//! What `dnsperf` reports.

use anyhow::{Context, Result, ensure};

/// What it printed at its end.
#[derive(Debug)]
pub struct DnsperfReport(String);

impl DnsperfReport {
    /// Of its standard output.
    pub fn new(printed: impl Into<String>) -> Self {
        Self(printed.into())
    }

    /// What stands behind a name, such as `Queries lost:`.
    ///
    /// # Errors
    ///
    /// If there is no such line: it did not come to its end.
    pub fn says(&self, name: &str) -> Result<&str> {
        let line = self.0.lines().find_map(|line| line.trim().strip_prefix(name));
        line.map(str::trim).with_context(|| format!("no {name} in {}", self.0))
    }

    /// Answers a second. A refusal is quicker than an answer, and is none.
    ///
    /// # Errors
    ///
    /// If answers were others than NOERROR, or as much as a hundredth was lost.
    pub fn answers_a_second(&self) -> Result<f64> {
        let lost = self.says("Queries lost:")?;
        ensure!(lost.starts_with("0 (") || lost.contains("(0."), "answers are missing: {}", self.0);
        self.all_are_answers()?;
        let rate = self.says("Queries per second:")?;
        rate.parse().with_context(|| rate.to_owned())
    }

    /// Looks whether every reply was NOERROR.
    ///
    /// # Errors
    ///
    /// If one was another.
    pub fn all_are_answers(&self) -> Result<()> {
        // Codes are told one after the other: this one is alone.
        let codes = self.says("Response codes:")?;
        ensure!(codes.starts_with("NOERROR ") && codes.ends_with(" (100.00%)"), "not all are answers: {}", self.0);
        Ok(())
    }
}
