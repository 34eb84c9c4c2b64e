//! `PeerTable`: who is who in a mesh, by address, by key and by name, in constant time.
//!
//! A whole state is indexed once (`base.rs`). A delta makes another table that shares state and indices with the one
//! before and holds what changed beside them (`overlay.rs`): it costs what changed, and answers as the whole would.

use std::sync::Arc;

use crate::base::Base;
use crate::limits::{CHANGES_REMEMBERED, MAX_SERVICES, MIN_OVERLAY, OVERLAY_SHARE};
use crate::overlay::{Followed, Overlay};
use crate::service_index::ServiceIndex;
use crate::standing::{Own, SkippedPeer};
use crate::state::{StateHead, write_state};
use crate::wire_peers::PeerWriter;
use crate::{HostName, MeshAddress, MeshDelta, MeshState, PeerRecord, PublicKey, Revision, Service, WireError};

/// One revision of a mesh, as one of its servers sees it. Never changed.
pub struct PeerTable {
    base: Arc<Base>,
    overlay: Overlay,
    revision: Revision,
    len: usize,
    services: Arc<ServiceIndex>,
    /// The last steps that led here, the latest last; the first of all is a whole state. A step is known by where it
    /// lies, so that two changes of one table are told apart.
    steps: Vec<Arc<Step>>,
}

/// What one delta changed; nothing, for a whole state.
struct Step {
    changed: Box<[MeshAddress]>,
}

impl PeerTable {
    /// Indexes a state. `own` is left out of the peers; so is every record that makes no sense beside the others.
    pub fn new(state: Arc<MeshState>, own: Option<Own>) -> Self {
        Self::over(state, own, first_step())
    }

    fn over(state: Arc<MeshState>, own: Option<Own>, steps: Vec<Arc<Step>>) -> Self {
        let services = ServiceIndex::new(state.shared_services().clone(), own.map(|own| own.address));
        let base = Base::new(state, own);
        Self {
            overlay: Overlay::new(),
            revision: base.state().revision(),
            len: base.len(),
            services: Arc::new(services),
            steps,
            base: Arc::new(base),
        }
    }

    /// The table that a delta leads to. It answers as one of the whole state would, and shares with this one what did
    /// not change.
    ///
    /// # Errors
    ///
    /// [`DeltaError`] if the delta is not for this table; then a whole state has to be asked for.
    pub fn apply(&self, delta: &MeshDelta) -> Result<Self, DeltaError> {
        if delta.mesh() != self.mesh() {
            return Err(DeltaError::Mesh);
        }
        if delta.base() != self.revision {
            return Err(DeltaError::Base { base: delta.base(), revision: self.revision });
        }
        let own = self.base.own().map(|own| own.address);
        let services = self.services.follow(delta, own).map_or_else(|| self.services.clone(), Arc::new);
        if services.all().len() > MAX_SERVICES {
            return Err(DeltaError::Services(services.all().len()));
        }
        let Followed { overlay, changed, more_peers } = self.overlay.follow(&self.base, delta);
        let has_server = |server: &MeshAddress| overlay.server_by_address(&self.base, *server).is_some();
        let mut named =
            delta.services().iter().flat_map(|service| &service.instances).map(|instance| instance.server());
        // Services that are as they were can lose a server only to the delta's removals.
        let lost = named
            .find(|server| !has_server(server))
            .or_else(|| delta.removed().find(|server| services.hosting().contains(server)));
        if let Some(server) = lost {
            return Err(DeltaError::Instance(server));
        }
        let remembered = self.steps.len().saturating_sub(CHANGES_REMEMBERED - 1);
        let mut steps = self.steps[remembered..].to_vec();
        steps.push(Arc::new(Step { changed: changed.into_boxed_slice() }));
        Ok(Self {
            base: self.base.clone(),
            overlay,
            revision: delta.revision(),
            len: self.len.saturating_add_signed(more_peers),
            services,
            steps,
        })
    }

    /// Whether so much changed over the whole state that it should be written out anew, with [`PeerTable::compact`].
    pub fn is_overgrown(&self) -> bool {
        self.overlay.len() > MIN_OVERLAY.max(self.base.state().peers().len() / OVERLAY_SHARE)
    }

    /// The same table over a whole state of its own: [`PeerTable::base`] is what the control plane would send whole.
    /// Takes as long as reading a whole state. `own` may have another key than [`PeerTable::made_for`]: then anything
    /// may differ, as after a whole state.
    ///
    /// # Errors
    ///
    /// [`WireError`] if the mesh became larger than a state may be.
    pub fn compact(&self, own: Option<Own>) -> Result<Self, WireError> {
        let base = self.base.state();
        let mut peers = PeerWriter::with_capacity(base.peers().len() + self.overlay.len(), base.names().len());
        for server in self.overlay.servers(&self.base) {
            peers.push(server, self.name_of(server))?;
        }
        let head = StateHead {
            mesh: self.mesh(),
            organisation: self.organisation(),
            domain: self.domain(),
            revision: self.revision,
        };
        let state = write_state(&head, &peers, self.services.all())?;
        // What holds the written records is freed before the indices are made.
        drop(peers);
        let steps = if own == self.made_for() { self.steps.clone() } else { first_step() };
        Ok(Self::over(Arc::new(state), own, steps))
    }

    /// Addresses at which this table may differ from an earlier one: who came, went, changed, or became or ceased to be
    /// a peer. None if everything may: the tables do not follow from each other, or lie far apart.
    pub fn changes_since<'a>(&'a self, earlier: &Self) -> Option<impl Iterator<Item = MeshAddress> + use<'a>> {
        let last = earlier.steps.last()?;
        let from = self.steps.iter().position(|step| Arc::ptr_eq(step, last))?;
        Some(self.steps[from + 1..].iter().flat_map(|step| step.changed.iter().copied()))
    }

    /// The whole state below, which may be older than the table.
    pub fn base(&self) -> &Arc<MeshState> {
        self.base.state()
    }

    /// The server that looks, with the key that records were judged by: its own at another address is skipped.
    pub fn made_for(&self) -> Option<Own> {
        self.base.own()
    }

    /// Random number of the mesh, the same for its whole life.
    pub fn mesh(&self) -> [u8; 16] {
        self.base.state().mesh()
    }

    /// Name of the organisation.
    pub fn organisation(&self) -> &str {
        self.base.state().organisation()
    }

    /// The search domain, for example `mesh.internal`.
    pub fn domain(&self) -> &HostName {
        self.base.state().domain()
    }

    /// The revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// This server's own record, if it is in the mesh.
    pub fn own(&self) -> Option<&PeerRecord> {
        self.server_by_address(self.base.own()?.address)
    }

    /// The peer with that address: any server but this one and those skipped.
    pub fn peer_by_address(&self, address: MeshAddress) -> Option<&PeerRecord> {
        self.overlay.peer_by_address(&self.base, address)
    }

    /// The peer with that key: any server but this one and those skipped.
    pub fn peer_by_key(&self, key: &PublicKey) -> Option<&PeerRecord> {
        self.overlay.peer_by_key(&self.base, key)
    }

    /// The server with that address, this one included.
    pub fn server_by_address(&self, address: MeshAddress) -> Option<&PeerRecord> {
        self.overlay.server_by_address(&self.base, address)
    }

    /// The server of that name, this one included.
    pub fn server_by_name(&self, name: &str) -> Option<&PeerRecord> {
        self.overlay.server_by_name(&self.base, name)
    }

    /// The DNS label of a server of this table.
    pub fn name_of(&self, server: &PeerRecord) -> &str {
        self.overlay.name_of(&self.base, server)
    }

    /// All services, sorted by name.
    pub fn services(&self) -> &[Service] {
        self.services.all()
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        self.services.by_name(name)
    }

    /// The service with that further host name; of several, the first by its own name.
    pub fn service_by_host(&self, host: &str) -> Option<&Service> {
        self.services.by_host(host)
    }

    /// The services that have an instance on this server.
    pub fn local_services(&self) -> impl Iterator<Item = &Service> {
        self.services.local()
    }

    /// Whether a service has an instance on that server.
    pub fn is_hosting(&self, server: MeshAddress) -> bool {
        self.services.hosting().contains(&server)
    }

    /// All peers, by address. Visits the whole mesh: for a change of the mesh, never for a packet or a query.
    pub fn peers(&self) -> impl Iterator<Item = &PeerRecord> {
        self.overlay.peers(&self.base)
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        self.len
    }

    /// Whether this server is alone.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records that were left out, and why, by address.
    pub fn skipped(&self) -> impl Iterator<Item = &SkippedPeer> {
        self.overlay.skipped(&self.base)
    }
}

/// Of a table that follows from none.
fn first_step() -> Vec<Arc<Step>> {
    vec![Arc::new(Step { changed: Box::default() })]
}

impl std::fmt::Debug for PeerTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerTable").field("revision", &self.revision).field("peers", &self.len()).finish()
    }
}

/// Why a delta is not for a table. The table stays; a whole state has to be asked for.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DeltaError {
    /// It is of another mesh.
    #[error("it is a change of another mesh")]
    Mesh,
    /// It begins elsewhere.
    #[error("it leads on from revision {base}, and revision {revision} is in force")]
    Base {
        /// Where it begins.
        base: Revision,
        /// What is in force.
        revision: Revision,
    },
    /// It leads to more than [`MAX_SERVICES`].
    #[error("there would be {0} services, more than the {MAX_SERVICES} allowed")]
    Services(usize),
    /// It leaves a service without a server.
    #[error("a service would have an instance on {0}, which no server has")]
    Instance(MeshAddress),
}
