//! Proves a plugin: what every plugin of a world must do, run against a component file.
//!
//! [`judge`] puts a component into the agent's own sandbox, with the agent's limits, and runs the checks of its extension
//! point against meshes that are made up: small, empty, and as large as an agent hands over.

#![forbid(unsafe_code)]

mod checks;
mod judge;
pub mod limits;
mod meshes;
mod report;
mod subject;

pub use judge::{JudgeError, judge};
pub use report::{Check, Report};
