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

/// A weighting plugin.
pub trait Weighting: Sized {
    /// See [`Naming::Settings`](crate::naming::Naming::Settings).
    type Settings: DeserializeOwned;

    /// See [`Naming::configure`](crate::naming::Naming::configure).
    ///
    /// # Errors
    ///
    /// What is wrong with the settings.
    fn configure(settings: Self::Settings) -> Result<Self, String>;

    /// One weight a candidate, in their order, 0 to 1,000; 0 takes an instance out.
    fn weigh(&self, mesh: &dyn Directory, service: &Service, candidates: &[Candidate]) -> Vec<u16>;
}
