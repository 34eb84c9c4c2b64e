//! `MeshState`: one revision of an organisation's mesh, immutable, its peers read in place.

use std::net::SocketAddr;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use zerocopy::FromBytes;

use crate::codec::{self, FORMAT, WireError, WireState};
use crate::limits::MAX_LABEL_TEXT;
use crate::peer::endpoint_bytes;
use crate::wire_peers::{PeerWriter, check_peers, name_at, name_bytes_at};
use crate::wire_services::{encode_services, parse_services};
use crate::{DnsLabel, HostName, Instance, KeyGeneration, MeshAddress, PeerRecord, PublicKey, Revision, Service};

/// One revision of a mesh. Cheap to share, never changed.
#[derive(Debug)]
pub struct MeshState {
    body: Bytes,
    mesh: [u8; 16],
    organisation: String,
    domain: HostName,
    revision: Revision,
    /// Of `body`; a multiple of 64 bytes, sorted by address, unique.
    peers: Range<usize>,
    /// Of `body`.
    names: Range<usize>,
    /// Sorted by name, unique.
    services: Arc<[Service]>,
}

impl MeshState {
    /// Reads a body as the control plane sent it. The peers stay where they are: `body` is kept.
    ///
    /// # Errors
    ///
    /// [`WireError`], with the place, if any part is not as the wire says: a length over its limit, a record out of
    /// order, an index out of range, a name that is no DNS label.
    pub fn parse(body: Bytes) -> Result<Self, WireError> {
        let wire = codec::decode_state(&body)?;
        if wire.organisation.is_empty() || wire.organisation.len() > MAX_LABEL_TEXT {
            return Err(WireError::invalid("organisation", "is empty or longer than 256 bytes"));
        }
        if wire.organisation.chars().any(char::is_control) {
            return Err(WireError::invalid("organisation", "has control characters"));
        }
        let domain = wire.domain.parse().map_err(|error| WireError::invalid("domain", error))?;
        let peers = check_peers(wire.peers, wire.names)?;
        let server = |index: u32| Some(peers.get(index as usize)?.address());
        let services = parse_services(wire.service_count, wire.services, server)?;
        Ok(Self {
            mesh: wire.mesh,
            organisation: wire.organisation.to_owned(),
            domain,
            revision: Revision(wire.revision),
            peers: range_in(&body, wire.peers),
            names: range_in(&body, wire.names),
            services,
            body,
        })
    }

    /// The body that this state was read from, to be kept or sent as it is.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// Where names lie in the body. They are read for people and for questions about names, never for a packet: whoever
    /// mapped the body may let go of their memory.
    pub fn names_range(&self) -> Range<usize> {
        self.names.clone()
    }

    /// Random number of the mesh, the same for its whole life.
    pub fn mesh(&self) -> [u8; 16] {
        self.mesh
    }

    /// Name of the organisation.
    pub fn organisation(&self) -> &str {
        &self.organisation
    }

    /// The search domain, for example `mesh.internal`.
    pub fn domain(&self) -> &HostName {
        &self.domain
    }

    /// The revision.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// All servers, this one included, sorted by address.
    pub fn peers(&self) -> &[PeerRecord] {
        <[PeerRecord]>::ref_from_bytes(&self.body[self.peers.clone()]).expect("parse checked the length")
    }

    /// The DNS label of a server of this state.
    pub fn name_of(&self, peer: &PeerRecord) -> &str {
        name_at(self.names(), peer.name_offset.get()).unwrap_or_default()
    }

    /// Its bytes, where only sameness is asked.
    pub(crate) fn name_bytes_of(&self, peer: &PeerRecord) -> &[u8] {
        name_bytes_at(self.names(), peer.name_offset.get()).unwrap_or_default()
    }

    /// The section that names lie in.
    pub(crate) fn names(&self) -> &[u8] {
        &self.body[self.names.clone()]
    }

    /// What [`MeshState::services`] shares.
    pub(crate) fn shared_services(&self) -> &Arc<[Service]> {
        &self.services
    }

    /// All services, sorted by name.
    pub fn services(&self) -> &[Service] {
        &self.services
    }
}

/// Where `part`, a slice of `body`, lies in it.
pub(crate) fn range_in(body: &Bytes, part: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr() as usize - body.as_ptr() as usize;
    start..start + part.len()
}

/// A server, for [`MeshStateBuilder`].
#[derive(Clone, Debug)]
pub struct PeerEntry {
    /// Its key.
    pub public_key: PublicKey,
    /// Generation of that key.
    pub key_generation: KeyGeneration,
    /// Where it is reached, if known.
    pub endpoint: Option<SocketAddr>,
    /// Its address in the mesh.
    pub address: MeshAddress,
    /// Its DNS label.
    pub name: DnsLabel,
    /// Revision at which it last changed.
    pub since: Revision,
}

/// Builds the body of a revision; what the control plane does.
#[derive(Clone, Debug)]
pub struct MeshStateBuilder {
    mesh: [u8; 16],
    organisation: String,
    domain: HostName,
    revision: Revision,
    peers: Vec<PeerEntry>,
    services: Vec<Service>,
}

impl MeshStateBuilder {
    /// Starts a revision of a mesh.
    pub fn new(mesh: [u8; 16], organisation: impl Into<String>, domain: HostName, revision: Revision) -> Self {
        Self { mesh, organisation: organisation.into(), domain, revision, peers: Vec::new(), services: Vec::new() }
    }

    /// Adds a server, in any order.
    pub fn peer(&mut self, peer: PeerEntry) -> &mut Self {
        self.peers.push(peer);
        self
    }

    /// Adds a service, in any order. Its `instances` are taken from `places`: address of the server, port, weight.
    /// A place on a server that is not in the mesh is left out.
    pub fn service(&mut self, service: Service, places: Vec<(MeshAddress, u16, u16)>) -> &mut Self {
        let mut instances: Vec<_> =
            places.into_iter().map(|(server, port, weight)| Instance::new(server, port, weight)).collect();
        instances.sort_by_key(|instance| (instance.server(), instance.port()));
        self.services.push(Service { instances, ..service });
        self
    }

    /// Encodes the body and reads it back, so that what is sent is known to parse.
    ///
    /// # Errors
    ///
    /// [`WireError`] for what a reader would refuse: two servers with one address, two services with one name.
    pub fn build(mut self) -> Result<MeshState, WireError> {
        self.peers.sort_by_key(|peer| peer.address);
        let mut peers = PeerWriter::with_capacity(self.peers.len(), 0);
        for peer in &self.peers {
            let (endpoint_ip, endpoint_port) = endpoint_bytes(peer.endpoint);
            let record = PeerRecord {
                public_key: peer.public_key,
                endpoint_ip,
                endpoint_port: endpoint_port.into(),
                flags: u16::from(peer.key_generation.number()).into(),
                address: peer.address.index().into(),
                name_offset: 0.into(),
                // The wire holds the low 32 bits.
                since: (peer.since.0 as u32).into(),
            };
            peers.push(&record, peer.name.as_str())?;
        }
        self.services.sort_by(|a, b| a.name.cmp(&b.name));
        // Before durations are cut to whole milliseconds.
        self.services.iter().try_for_each(Service::check)?;
        let head = StateHead {
            mesh: self.mesh,
            organisation: &self.organisation,
            domain: &self.domain,
            revision: self.revision,
        };
        write_state(&head, &peers, &self.services)
    }
}

/// What stands before the peers.
pub(crate) struct StateHead<'a> {
    pub(crate) mesh: [u8; 16],
    pub(crate) organisation: &'a str,
    pub(crate) domain: &'a HostName,
    pub(crate) revision: Revision,
}

/// Encodes a body and reads it back. `peers` and `services` are in order.
pub(crate) fn write_state(
    head: &StateHead<'_>,
    peers: &PeerWriter,
    services: &[Service],
) -> Result<MeshState, WireError> {
    let records = peers.records();
    let index = |server: MeshAddress| {
        let at = records.binary_search_by_key(&server.index(), |record| record.address.get()).ok()?;
        u32::try_from(at).ok()
    };
    let (service_count, services) = encode_services(services, index)?;
    let wire = WireState {
        format: FORMAT,
        mesh: head.mesh,
        organisation: head.organisation,
        domain: head.domain.as_str(),
        revision: head.revision.0,
        peers: &peers.peers,
        names: &peers.names,
        service_count,
        services: &services,
    };
    MeshState::parse(codec::encode_state(&wire)?.into())
}
