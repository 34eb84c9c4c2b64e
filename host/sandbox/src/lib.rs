//! Loads plugins, limits them, swaps them, calls them; trusts none of their answers.
//!
//! From the outside in: [`PluginHost`] asks a chain of [`Plugin`]s, which a [`Sandbox`] made of files. Each plugin runs in
//! a few instances, each in a store of its own, within the limits of [`limits`]; what it answers passes through
//! [`validate`] before anybody sees it.

#![deny(unsafe_code)]

pub mod bindings;
mod ceiling;
mod chain;
mod code_cache;
mod component;
pub mod contract_names;
pub mod deadline;
mod directory;
mod engine;
mod fault;
mod folder;
mod folder_watch;
mod grants;
mod guest_state;
mod host;
mod instance;
mod instance_pool;
mod kind;
pub mod life;
pub mod limits;
mod load_error;
mod manifest;
pub mod naming;
mod plugin;
mod plugin_log;
pub mod policy;
mod sandbox;
pub mod standing;
mod status;
mod tally;
mod ticker;
mod trial;
mod trust;
pub mod validate;
pub mod version;
mod wasi;
pub mod weighting;

pub use fault::{Fault, Unanswered};
pub use folder_watch::FolderWatch;
pub use grants::{GrantError, Grants};
pub use host::{BundledPlugin, PluginHost, PluginHostConfig, ResetError};
pub use kind::Kind;
pub use load_error::LoadError;
pub use manifest::{Instances, Manifest, ManifestError};
pub use plugin::Plugin;
pub use sandbox::{Sandbox, SandboxError};
pub use status::{LastFault, LogLevel, LogLine, Origin, PluginStatus, State};
pub use tally::{FaultCounts, Latency, LatencyBucket};
pub use trust::{SignatureError, Trust, TrustError};
