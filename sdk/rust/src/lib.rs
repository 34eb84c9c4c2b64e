//! What a plugin author depends on: the three extension points as Rust traits.
//!
//! A plugin implements [`naming::Naming`], [`weighting::Weighting`] or [`policy::Policy`] and names its type to
//! [`naming_plugin!`], [`weighting_plugin!`] or [`policy_plugin!`]. What it may know of the mesh it asks
//! [`Directory`]: the host's in a component, [`testing::Mesh`] in a plain `cargo test`. The guide is `sdk/README.md`.

#[cfg(target_arch = "wasm32")]
#[doc(hidden)]
pub mod component;
mod directory;
#[doc(hidden)]
pub mod export;
mod level;
pub mod log;
pub mod naming;
pub mod policy;
#[cfg(doctest)]
mod readme;
#[doc(hidden)]
pub mod settings;
pub mod testing;
mod types;
pub mod weighting;

pub use directory::{Directory, Proxy};
pub use types::{Health, Instance, Link, Protocol, Server, Service};
