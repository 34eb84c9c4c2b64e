//! `MeshDelta`: what changed from one revision of a mesh to a later one, immutable, its peers read in place.

use std::cmp::Ordering;
use std::collections::BTreeMap;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

use crate::codec::{self, DELTA_FORMAT, WireDelta, WireError};
use crate::limits::MAX_DELTA_BYTES;
use crate::state::range_in;
use crate::wire_peers::{PeerWriter, check_peers, name_at, name_bytes_at, names_in, push_name, server_address};
use crate::wire_services::{encode_services, parse_services};
use crate::{DnsLabel, MeshAddress, MeshState, PeerRecord, Revision, Service};

/// What leads from the state of one revision to that of another. Cheap to share, never changed.
#[derive(Clone, Debug)]
pub struct MeshDelta {
    body: Bytes,
    mesh: [u8; 16],
    base: Revision,
    revision: Revision,
    /// Of `body`; `u32` each, sorted by address, unique.
    removed: Range<usize>,
    /// Of `body`; a multiple of 64 bytes, sorted by address, unique, none of `removed`.
    peers: Range<usize>,
    /// Of `body`.
    names: Range<usize>,
    /// Of `body`; names, sorted, unique, none of `services`.
    removed_services: Range<usize>,
    /// Sorted by name, unique.
    services: Arc<[Service]>,
}

impl MeshDelta {
    /// Reads a delta as the control plane sent it. The peers stay where they are: `body` is kept.
    ///
    /// # Errors
    ///
    /// [`WireError`], with the place, if any part is not as the wire says. Whether it fits a state is seen when it is
    /// applied.
    pub fn parse(body: Bytes) -> Result<Self, WireError> {
        let wire = codec::decode_delta(&body)?;
        if wire.revision <= wire.base {
            let problem = format!("{} does not come after the base {}", wire.revision, wire.base);
            return Err(WireError::invalid("revision", problem));
        }
        let peers = check_peers(wire.peers, wire.names)?;
        check_removed(wire.removed, peers)?;
        let server = |index: u32| server_address(index).ok();
        let services = parse_services(wire.service_count, wire.services, server)?;
        check_removed_services(wire.removed_services, &services)?;
        Ok(Self {
            mesh: wire.mesh,
            base: Revision(wire.base),
            revision: Revision(wire.revision),
            removed: range_in(&body, wire.removed),
            peers: range_in(&body, wire.peers),
            names: range_in(&body, wire.names),
            removed_services: range_in(&body, wire.removed_services),
            services,
            body,
        })
    }

    /// What leads from `before` to `after`. None if no delta can say it: another mesh, name or domain, a revision that
    /// does not grow, or more than [`MAX_DELTA_BYTES`].
    ///
    /// # Errors
    ///
    /// [`WireError`] for what a reader would refuse.
    pub fn between(before: &MeshState, after: &MeshState) -> Result<Option<Self>, WireError> {
        let head = |state: &MeshState| (state.mesh(), state.organisation().to_owned(), state.domain().clone());
        if head(before) != head(after) || after.revision() <= before.revision() {
            return Ok(None);
        }
        let (mut draft, mut length) = (Draft::default(), 0);
        for (old, new) in side_by_side(before.peers(), after.peers(), |peer| peer.address.get()) {
            match (old, new) {
                (Some(old), Some(new)) if is_same(before, old, after, new) => {}
                (_, Some(new)) => {
                    draft.put(new, after.name_of(new));
                    length += size_of::<PeerRecord>();
                }
                (Some(old), None) => {
                    draft.remove(old.address());
                    length += size_of::<U32>();
                }
                (None, None) => {}
            }
            if length > MAX_DELTA_BYTES {
                return Ok(None);
            }
        }
        for (old, new) in side_by_side(before.services(), after.services(), |service| service.name.as_str()) {
            match (old, new) {
                (Some(old), Some(new)) if old == new => {}
                (_, Some(new)) => draft.put_service(new),
                (Some(old), None) => draft.remove_service(old.name.as_str()),
                (None, None) => {}
            }
        }
        draft.write(after.mesh(), before.revision(), after.revision())
    }

    /// One delta that does what `chain` does, one after the other. None if they do not follow each other, for an empty
    /// chain, and for more than [`MAX_DELTA_BYTES`].
    ///
    /// # Errors
    ///
    /// [`WireError`] for what a reader would refuse.
    pub fn compose<'a>(chain: impl IntoIterator<Item = &'a Self>) -> Result<Option<Self>, WireError> {
        let mut chain = chain.into_iter().peekable();
        let Some(&first) = chain.peek() else { return Ok(None) };
        let (mut draft, mut reached) = (Draft::default(), first.base);
        for delta in chain {
            if delta.mesh != first.mesh || delta.base != reached {
                return Ok(None);
            }
            delta.removed().for_each(|address| draft.remove(address));
            delta.peers().iter().for_each(|peer| draft.put(peer, delta.name_of(peer)));
            delta.removed_services().for_each(|name| draft.remove_service(name));
            delta.services().iter().for_each(|service| draft.put_service(service));
            reached = delta.revision;
        }
        if draft.length() > MAX_DELTA_BYTES {
            return Ok(None);
        }
        draft.write(first.mesh, first.base, reached)
    }

    /// The bytes that this was read from, to be kept or sent as they are.
    pub fn body(&self) -> &Bytes {
        &self.body
    }

    /// The mesh that it belongs to.
    pub fn mesh(&self) -> [u8; 16] {
        self.mesh
    }

    /// The revision that it is to be applied to.
    pub fn base(&self) -> Revision {
        self.base
    }

    /// The revision that it leads to.
    pub fn revision(&self) -> Revision {
        self.revision
    }

    /// Addresses that no server has from here on, sorted. Whether one had them before is not said.
    pub fn removed(&self) -> impl ExactSizeIterator<Item = MeshAddress> {
        let indices = <[U32]>::ref_from_bytes(&self.body[self.removed.clone()]).expect("parse checked the length");
        indices.iter().map(|index| server_address(index.get()).expect("parse checked each"))
    }

    /// The servers that were added or changed, sorted by address.
    pub fn peers(&self) -> &[PeerRecord] {
        <[PeerRecord]>::ref_from_bytes(&self.body[self.peers.clone()]).expect("parse checked the length")
    }

    /// The DNS label of a server of this delta.
    pub fn name_of(&self, peer: &PeerRecord) -> &str {
        name_at(&self.body[self.names.clone()], peer.name_offset.get()).unwrap_or_default()
    }

    /// Names of services that are no more from here on, sorted. Whether they were there before is not said.
    pub fn removed_services(&self) -> impl Iterator<Item = &str> {
        names_in(&self.body[self.removed_services.clone()]).flatten()
    }

    /// The services that were added or changed, sorted by name.
    pub fn services(&self) -> &[Service] {
        &self.services
    }
}

fn check_removed(removed: &[u8], peers: &[PeerRecord]) -> Result<(), WireError> {
    let Ok(indices) = <[U32]>::ref_from_bytes(removed) else {
        return Err(WireError::invalid("removed", format!("{} bytes are no multiple of 4", removed.len())));
    };
    let mut before = None;
    for (at, index) in indices.iter().enumerate() {
        let invalid = |problem: String| WireError::invalid(format!("removed {at}"), problem);
        let address = server_address(index.get()).map_err(invalid)?;
        if before.is_some_and(|before| before >= address) {
            return Err(invalid("is not sorted by address, or not unique".to_owned()));
        }
        before = Some(address);
        if peers.binary_search_by_key(&address, PeerRecord::address).is_ok() {
            return Err(invalid(format!("{address} is among the peers too")));
        }
    }
    Ok(())
}

fn check_removed_services(names: &[u8], services: &[Service]) -> Result<(), WireError> {
    let mut before = "";
    for (at, name) in names_in(names).enumerate() {
        let invalid = |problem: String| WireError::invalid(format!("removed service {at}"), problem);
        let name = name.filter(|name| DnsLabel::is_valid(name));
        let name = name.ok_or_else(|| invalid("has no name that is a DNS label".to_owned()))?;
        if before >= name {
            return Err(invalid("is not sorted by name, or not unique".to_owned()));
        }
        before = name;
        if services.binary_search_by(|service| service.name.as_str().cmp(name)).is_ok() {
            return Err(invalid(format!("{name} is among the services too")));
        }
    }
    Ok(())
}

/// What a delta will say, by address, and by name of the service.
#[derive(Default)]
struct Draft<'a> {
    addresses: BTreeMap<MeshAddress, Option<(&'a PeerRecord, &'a str)>>,
    services: BTreeMap<&'a str, Option<&'a Service>>,
}

impl<'a> Draft<'a> {
    fn put(&mut self, peer: &'a PeerRecord, name: &'a str) {
        self.addresses.insert(peer.address(), Some((peer, name)));
    }

    fn remove(&mut self, address: MeshAddress) {
        self.addresses.insert(address, None);
    }

    fn put_service(&mut self, service: &'a Service) {
        self.services.insert(service.name.as_str(), Some(service));
    }

    fn remove_service(&mut self, name: &'a str) {
        self.services.insert(name, None);
    }

    /// Bytes of the addresses and records alone.
    fn length(&self) -> usize {
        let each = |server: &Option<_>| if server.is_some() { size_of::<PeerRecord>() } else { size_of::<U32>() };
        self.addresses.values().map(each).sum()
    }

    /// None if it is longer than a delta may be.
    fn write(&self, mesh: [u8; 16], base: Revision, revision: Revision) -> Result<Option<MeshDelta>, WireError> {
        let (mut removed, mut peers) = (Vec::<U32>::new(), PeerWriter::default());
        for (address, server) in &self.addresses {
            match server {
                Some((record, name)) => peers.push(record, name)?,
                None => removed.push(address.index().into()),
            }
        }
        let mut removed_services = Vec::new();
        for (name, _) in self.services.iter().filter(|(_, service)| service.is_none()) {
            push_name(&mut removed_services, name)?;
        }
        let put = self.services.values().copied().flatten();
        let (service_count, services) = encode_services(put, |server| Some(server.index()))?;
        let wire = WireDelta {
            format: DELTA_FORMAT,
            mesh,
            base: base.0,
            revision: revision.0,
            removed: removed.as_bytes(),
            peers: &peers.peers,
            names: &peers.names,
            removed_services: &removed_services,
            service_count,
            services: &services,
        };
        match MeshDelta::parse(codec::encode_delta(&wire)?.into()) {
            Err(WireError::TooLong { .. }) => Ok(None),
            read => read.map(Some),
        }
    }
}

/// Whether two records of one address say the same. Where their names stand is no part of what they say.
fn is_same(before: &MeshState, old: &PeerRecord, after: &MeshState, new: &PeerRecord) -> bool {
    PeerRecord { name_offset: new.name_offset, ..*old } == *new
        && name_bytes_at(before.names(), old.name_offset.get()) == name_bytes_at(after.names(), new.name_offset.get())
}

/// Two lists that are sorted by `key`, as one of pairs.
fn side_by_side<'a, T, K: Ord>(
    before: &'a [T],
    after: &'a [T],
    key: impl Fn(&'a T) -> K,
) -> impl Iterator<Item = (Option<&'a T>, Option<&'a T>)> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    std::iter::from_fn(move || {
        let order = match (before.peek(), after.peek()) {
            (Some(&old), Some(&new)) => key(old).cmp(&key(new)),
            (Some(_), None) => Ordering::Less,
            (None, Some(_)) => Ordering::Greater,
            (None, None) => return None,
        };
        Some((before.next_if(|_| order.is_le()), after.next_if(|_| order.is_ge())))
    })
}
