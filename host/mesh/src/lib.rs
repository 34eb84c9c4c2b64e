//! Vocabulary and wire of the mesh: addresses, keys, peer records, `MeshState`, `PeerTable`. No I/O.
//!
//! Everything that crosses a trust boundary is parsed here into types that cannot hold nonsense. What parses is
//! immutable: a [`Snapshot`] is taken whole and swapped in one step, so that a reader never waits and never sees half.

#![forbid(unsafe_code)]

mod address;
pub mod api;
mod codec;
mod index;
mod key;
mod label;
pub mod limits;
pub mod observations;
mod peer;
mod revision;
mod service;
mod state;
mod table;
pub mod timestamp;
mod token;

pub use address::{AddressError, MeshAddress};
pub use codec::{FORMAT, WireError};
pub use key::{KeyError, PublicKey};
pub use label::{DnsLabel, HostName, LabelError};
pub use observations::{
    Health, InstanceKey, InstanceObservation, Link, LinkObservation, Observations, Proxy, Snapshot,
};
pub use peer::PeerRecord;
pub use revision::{Revision, RevisionError};
pub use service::{HealthCheck, Instance, Protocol, Service};
pub use state::{MeshState, MeshStateBuilder, PeerEntry};
pub use table::{Own, PeerTable, SkipReason, SkippedPeer};
pub use token::{EnrolmentToken, TokenError};
