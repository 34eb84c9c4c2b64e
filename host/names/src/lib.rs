//! The DNS server around the naming plugins, and the host's resolver settings.
//!
//! A question comes in by a listener, [`route`] says whose it is, and then the plugins answer it (through a cache), or an
//! upstream does, or nobody. [`NameServer`] is that server. [`HostResolver`] makes the host ask it, and puts everything
//! back afterwards; it touches nothing before the server answers.

#![forbid(unsafe_code)]

mod answer_cache;
mod clients;
mod counters;
mod fit;
mod forwarder;
mod handler;
pub mod limits;
mod listener;
mod name_server;
mod network;
mod own_addresses;
mod plugin_answers;
mod rebinding;
mod reply;
mod resolve;
mod resolver;
pub mod route;
mod settings;
mod zone;

pub use counters::NameCounters;
pub use listener::{ListenerState, ListenerStatus};
pub use name_server::NameServer;
pub use network::{Network, NetworkError};
pub use rebinding::without_mesh_addresses;
pub use resolve::Resolve;
pub use resolver::{
    Facts, FileStep, HostResolver, InCharge, LinkFacts, LinkStep, Listening, OnDisk, Present, ResolvConf,
    ResolvConfFile, ResolvedFacts, ResolverError, ResolverPlan, ResolverReport, ResolverWatch, Step, Wanted,
    plan_resolver, plan_restore, restore_resolver,
};
pub use settings::{NamesSettings, ResolverChoice, ResolverPaths};
