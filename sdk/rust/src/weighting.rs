//! Extension point: how the traffic of a service is spread over its instances.

use serde::de::DeserializeOwned;

pub use crate::{Directory, Health, Instance, Link, Protocol, Server, Service};

/// An instance that wants a weight.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The instance.
    pub instance: Instance,
    /// The weight that is in force; none if it has none yet.
    pub current_weight: Option<u16>,
}

/// A weighting plugin. It is its settings: read from the `[settings]` table of its file, or from an empty one if there is
/// none. One that keeps something else says so with `#[serde(try_from = "Settings")]`.
pub trait Weighting: DeserializeOwned {
    /// Judges the settings, before anything is asked.
    ///
    /// # Errors
    ///
    /// What is wrong with them, for the operator. The plugin is then refused, and what ran before stays.
    fn check(&self) -> Result<(), String> {
        Ok(())
    }

    /// One weight a candidate, in their order, 0 to 1,000; 0 takes an instance out.
    fn weigh(&self, mesh: &dyn Directory, service: &Service, candidates: &[Candidate]) -> Vec<u16>;
}
