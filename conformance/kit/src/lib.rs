//! Proves a plugin: what every plugin of a world must do, run against a component file.
//!
//! [`judge`] puts a component into the agent's own sandbox, with the agent's limits, and asks it what it will be asked and
//! what it will not expect, in meshes that are made up: small, empty, and as large as a fleet may be. Each fault fails
//! the check that names it; [`CheckId`] is the catalogue of the checks.

#![forbid(unsafe_code)]

mod catalogue;
pub mod check;
mod exam;
mod faults;
pub mod files;
mod findings;
mod judge;
mod junit;
mod latency;
pub mod limits;
mod meshes;
mod naming;
mod policy;
mod report;
mod settings;
mod subject;
mod weighting;

pub use catalogue::{CheckId, table};
pub use judge::{JudgeError, judge};
pub use latency::Latency;
pub use report::{Check, Outcome, Report};
