//! Probes of failover instances, and Traefik's dynamic configuration around the weighting plugins.
//!
//! [`Prober`] finds out who works; the weighting plugins say who takes how much; [`dynamic_file`] says it to Traefik.

#![forbid(unsafe_code)]

mod dynamic_file;
pub mod limits;
mod probe;
mod prober;
mod proxy;
mod settings;
mod targets;
mod verdict;
mod weights;
mod write;

pub use dynamic_file::{DynamicFile, PROXY_HOST, PROXY_LOCATION, dynamic_file};
pub use prober::{ProbeView, Prober};
pub use settings::{FailoverSettings, TraefikMode};
pub use verdict::{Thresholds, Verdict};
pub use weights::{Weigh, Weights};
pub use write::{WriteError, remove, would_change, write_if_changed};
