//! The agent: polls the mesh state, plans, applies; command line, status socket, metrics.
//!
//! `poll` brings a state, `snapshots` joins it with what this server sees, the four `executors` plan and apply, and
//! `report` tells. Nothing here decides about names, weights or rules: the plugins do.

#![deny(unsafe_code)]

pub mod cli;
pub mod clock;
pub mod control_client;
pub mod durable_file;
mod error_chain;
pub mod executors;
mod guests;
pub mod identity;
pub mod kept_state;
pub mod key_due;
pub mod key_files;
pub mod key_ring;
pub mod key_rotation;
pub mod limits;
mod metrics;
pub mod paths;
mod pinned_tls;
pub mod poll;
mod report;
pub mod rotation_handle;
pub mod run;
mod service_unit;
pub mod settings;
mod shared_tunnel;
pub mod snapshots;
pub mod state_file;
mod status_socket;
mod taken_back;
