//! How the traffic of a service is spread: what the weighting plugins are told of each instance.

use servos_mesh::Instance;

/// An instance that wants a weight. The plugin also learns its health, link and round trip, from the snapshot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Candidate {
    /// The instance, of the snapshot's state.
    pub instance: Instance,
    /// The weight in force, 0 to 1,000; none if the instance has none yet.
    pub current_weight: Option<u16>,
}
