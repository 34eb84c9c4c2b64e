//! Vocabulary and wire of the mesh: addresses, keys, peer records, `MeshState`, `MeshDelta`, `PeerTable`. No I/O.
//!
//! Everything that crosses a trust boundary is parsed here into types that cannot hold nonsense. What parses is
//! immutable: a [`Snapshot`] is taken whole and swapped in one step, so that a reader never waits and never sees half.

#![forbid(unsafe_code)]

mod address;
pub mod api;
mod base;
mod codec;
mod delta;
mod index;
mod key;
mod key_generation;
mod label;
pub mod limits;
pub mod observations;
mod overlay;
mod peer;
mod revision;
mod service;
mod service_index;
mod standing;
mod state;
mod table;
pub mod timestamp;
mod token;
mod wire_peers;
mod wire_services;

pub use address::{AddressError, MeshAddress};
pub use codec::{DELTA_FORMAT, FORMAT, WireError};
pub use delta::MeshDelta;
pub use key::{KeyError, PublicKey};
pub use key_generation::KeyGeneration;
pub use label::{DnsLabel, HostName, LabelError};
pub use observations::{
    Health, InstanceKey, InstanceObservation, Link, LinkObservation, Observations, Proxy, Snapshot,
};
pub use peer::PeerRecord;
pub use revision::{Revision, RevisionError};
pub use service::{HealthCheck, Instance, Protocol, Service};
pub use standing::{Own, SkipReason, SkippedPeer};
pub use state::{MeshState, MeshStateBuilder, PeerEntry};
pub use table::{DeltaError, PeerTable};
pub use token::{EnrolmentToken, TokenError};
