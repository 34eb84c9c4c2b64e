//! What ufw is and has, and where SSH listens.

use std::path::Path;

use serde::Serialize;

use crate::command::{CommandError, run};
use crate::existing::{ExistingRule, parse_added};
use crate::settings::FirewallSettings;
use crate::ssh_ports;

/// What a plan is made from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Facts {
    /// What ufw is found in.
    pub ufw: UfwState,
    /// Its rules, in the order in which they match.
    pub rules: Vec<ExistingRule>,
    /// Ports of SSH, at least one.
    pub ssh_ports: Vec<u16>,
}

/// What ufw is found in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum UfwState {
    /// Not installed.
    Missing,
    /// Installed, and filters nothing.
    Inactive,
    /// Filters.
    Active,
}

impl Facts {
    /// Reads all. Takes two runs of ufw, 0.3 s.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if ufw is there and does not answer.
    pub(crate) async fn read(settings: &FirewallSettings) -> Result<Self, CommandError> {
        let ssh_ports = ssh_ports::find(settings).await;
        let mut facts = Self { ufw: UfwState::Missing, rules: Vec::new(), ssh_ports };
        facts.read_ufw_again(&settings.ufw_path).await?;
        Ok(facts)
    }

    /// Reads what ufw is and has.
    ///
    /// # Errors
    ///
    /// [`CommandError`] if ufw is there and does not answer.
    pub(crate) async fn read_ufw_again(&mut self, ufw: &Path) -> Result<(), CommandError> {
        if !tokio::fs::try_exists(ufw).await.unwrap_or(false) {
            (self.ufw, self.rules) = (UfwState::Missing, Vec::new());
            return Ok(());
        }
        let status = run(ufw, &["status".to_owned()]).await?;
        let state = parse_status(&status).ok_or_else(|| CommandError::unreadable(ufw, "status", &status))?;
        let added = run(ufw, &["show".to_owned(), "added".to_owned()]).await?;
        (self.ufw, self.rules) = (state, parse_added(&added));
        Ok(())
    }
}

/// Reads the output of `ufw status`. None if it does not say.
pub fn parse_status(output: &str) -> Option<UfwState> {
    output.lines().find_map(|line| match line.trim_end() {
        "Status: active" => Some(UfwState::Active),
        "Status: inactive" => Some(UfwState::Inactive),
        _ => None,
    })
}
