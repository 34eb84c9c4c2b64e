//! `MeshState`: one revision of an organisation's mesh, immutable, its peers read in place.

use std::net::SocketAddr;
use std::ops::Range;
use std::time::Duration;

use bytes::Bytes;
use zerocopy::{FromBytes, IntoBytes};

use crate::codec::{self, FORMAT, WireError, WireHealthCheck, WireService, WireState};
use crate::limits::{MAX_INSTANCES, MAX_LABEL_TEXT, MAX_SERVICES};
use crate::peer::endpoint_bytes;
use crate::{
    DnsLabel, HealthCheck, HostName, Instance, MeshAddress, PeerRecord, Protocol, PublicKey, Revision, Service,
};

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
    services: Vec<Service>,
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
        let services = parse_services(wire.service_count, wire.services, peers.len())?;
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
        name_at(&self.body[self.names.clone()], peer.name_offset.get()).unwrap_or_default()
    }

    /// All services, sorted by name.
    pub fn services(&self) -> &[Service] {
        &self.services
    }

    /// The service of that name.
    pub fn service(&self, name: &str) -> Option<&Service> {
        let at = self.services.binary_search_by(|service| service.name.as_str().cmp(name)).ok()?;
        self.services.get(at)
    }

    /// The server that an instance runs on.
    pub fn server_of(&self, instance: &Instance) -> &PeerRecord {
        &self.peers()[instance.server()]
    }
}

/// Where `part`, a slice of `body`, lies in it.
fn range_in(body: &Bytes, part: &[u8]) -> Range<usize> {
    if part.is_empty() {
        return 0..0;
    }
    let start = part.as_ptr() as usize - body.as_ptr() as usize;
    start..start + part.len()
}

fn name_at(names: &[u8], offset: u32) -> Option<&str> {
    let (length, rest) = names.get(offset as usize..)?.split_first()?;
    std::str::from_utf8(rest.get(..usize::from(*length))?).ok()
}

fn check_peers<'a>(peers: &'a [u8], names: &[u8]) -> Result<&'a [PeerRecord], WireError> {
    let Ok(records) = <[PeerRecord]>::ref_from_bytes(peers) else {
        return Err(WireError::invalid("peers", format!("{} bytes are no multiple of 64", peers.len())));
    };
    let mut before = None;
    for (at, record) in records.iter().enumerate() {
        let address = MeshAddress::from_index(record.address.get())
            .map_err(|error| WireError::invalid(format!("peer {at}"), error))?;
        if address == MeshAddress::FIRST || address == MeshAddress::LAST {
            return Err(WireError::invalid(format!("peer {at}"), format!("has the reserved address {address}")));
        }
        if before.is_some_and(|before| before >= address) {
            return Err(WireError::invalid(format!("peer {at}"), "is not sorted by address, or not unique"));
        }
        before = Some(address);
        if !name_at(names, record.name_offset.get()).is_some_and(DnsLabel::is_valid) {
            return Err(WireError::invalid(format!("peer {at}"), "has no name that is a DNS label"));
        }
    }
    Ok(records)
}

fn parse_services(count: u32, mut bytes: &[u8], peers: usize) -> Result<Vec<Service>, WireError> {
    let count = count as usize;
    if count > MAX_SERVICES {
        return Err(WireError::invalid("services", format!("{count} are more than {MAX_SERVICES}")));
    }
    let mut services: Vec<Service> = Vec::new();
    for at in 0..count {
        let (wire, rest) = codec::decode_service(bytes)?;
        let place = || format!("service {at}");
        let instance_count = wire.instance_count as usize;
        if instance_count > MAX_INSTANCES {
            return Err(WireError::invalid(place(), format!("has more than {MAX_INSTANCES} instances")));
        }
        let Some((instances, rest)) = rest.split_at_checked(instance_count * size_of::<Instance>()) else {
            return Err(WireError::invalid(place(), "is cut off in its instances"));
        };
        let service = parse_service(&wire, instances, peers).map_err(|problem| WireError::invalid(place(), problem))?;
        if services.last().is_some_and(|last| last.name >= service.name) {
            return Err(WireError::invalid(place(), "is not sorted by name, or not unique"));
        }
        services.push(service);
        bytes = rest;
    }
    if !bytes.is_empty() {
        return Err(WireError::invalid("services", format!("{} bytes behind the last", bytes.len())));
    }
    Ok(services)
}

fn parse_service(wire: &WireService<'_>, instances: &[u8], peers: usize) -> Result<Service, String> {
    let protocol = match wire.protocol {
        0 => Protocol::Http,
        1 => Protocol::Tcp,
        2 => Protocol::Udp,
        other => return Err(format!("has unknown protocol {other}")),
    };
    let instances = <[Instance]>::ref_from_bytes(instances).map_err(|_| "has cut instances")?.to_vec();
    let service = Service {
        name: wire.name.parse().map_err(|error: crate::LabelError| error.to_string())?,
        protocol,
        port: wire.port,
        mesh_failover: wire.flags & 1 != 0,
        hosts: wire
            .hosts
            .iter()
            .map(|host| host.parse::<HostName>().map_err(|e| e.to_string()))
            .collect::<Result<_, _>>()?,
        labels: wire.labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        health_check: wire.health_check.as_ref().map(|check| HealthCheck {
            path: check.path.map(str::to_owned),
            interval: Duration::from_millis(check.interval_ms.into()),
            timeout: Duration::from_millis(check.timeout_ms.into()),
        }),
        instances,
    };
    service.check_text()?;
    service.check_instances(peers)?;
    Ok(service)
}

/// A server, for [`MeshStateBuilder`].
#[derive(Clone, Debug)]
pub struct PeerEntry {
    /// Its key.
    pub public_key: PublicKey,
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
    services: Vec<(Service, Vec<Place>)>,
}

/// Where an instance runs: address of the server, port, weight.
type Place = (MeshAddress, u16, u16);

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
        self.services.push((service, places));
        self
    }

    /// Encodes the body and reads it back, so that what is sent is known to parse.
    ///
    /// # Errors
    ///
    /// [`WireError`] for what a reader would refuse: two servers with one address, two services with one name.
    pub fn build(mut self) -> Result<MeshState, WireError> {
        self.peers.sort_by_key(|peer| peer.address);
        let mut names = Vec::new();
        let mut peers = Vec::with_capacity(self.peers.len() * 64);
        for peer in &self.peers {
            let (endpoint_ip, endpoint_port) = endpoint_bytes(peer.endpoint);
            let record = PeerRecord {
                public_key: peer.public_key,
                endpoint_ip,
                endpoint_port: endpoint_port.into(),
                flags: 0.into(),
                address: peer.address.index().into(),
                name_offset: u32::try_from(names.len()).map_err(|_| WireError::invalid("names", "over 4 GiB"))?.into(),
                // The wire holds the low 32 bits.
                since: (peer.since.0 as u32).into(),
            };
            peers.extend_from_slice(record.as_bytes());
            names.push(peer.name.as_str().len() as u8);
            names.extend_from_slice(peer.name.as_str().as_bytes());
        }
        self.services.sort_by(|(a, _), (b, _)| a.name.cmp(&b.name));
        let mut services = Vec::new();
        for (service, places) in &self.services {
            // Before durations are cut to whole milliseconds.
            service.check()?;
            services.extend(encode_service(service, places, &self.peers)?);
        }
        let wire = WireState {
            format: FORMAT,
            mesh: self.mesh,
            organisation: &self.organisation,
            domain: self.domain.as_str(),
            revision: self.revision.0,
            peers: &peers,
            names: &names,
            service_count: u32::try_from(self.services.len())
                .map_err(|_| WireError::invalid("services", "too many"))?,
            services: &services,
        };
        MeshState::parse(codec::encode_state(&wire)?.into())
    }
}

fn encode_service(service: &Service, places: &[Place], peers: &[PeerEntry]) -> Result<Vec<u8>, WireError> {
    let mut instances: Vec<Instance> = places
        .iter()
        .filter_map(|&(address, port, weight)| {
            let server = peers.binary_search_by_key(&address, |peer| peer.address).ok()?;
            Some(Instance::new(u32::try_from(server).ok()?, port, weight))
        })
        .collect();
    instances.sort_by_key(|instance| (instance.server(), instance.port()));
    let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    let wire = WireService {
        name: service.name.as_str(),
        protocol: match service.protocol {
            Protocol::Http => 0,
            Protocol::Tcp => 1,
            Protocol::Udp => 2,
        },
        flags: u8::from(service.mesh_failover),
        port: service.port,
        hosts: service.hosts.iter().map(HostName::as_str).collect(),
        labels: service.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        health_check: service.health_check.as_ref().map(|check| WireHealthCheck {
            path: check.path.as_deref(),
            interval_ms: millis(check.interval),
            timeout_ms: millis(check.timeout),
        }),
        instance_count: u32::try_from(instances.len()).map_err(|_| WireError::invalid("instances", "too many"))?,
    };
    let mut bytes = codec::encode_service(&wire)?;
    bytes.extend_from_slice(instances.as_bytes());
    Ok(bytes)
}
