//! `MeshDelta`: what changed from one revision of a mesh to a later one, immutable, its peers read in place.

use std::collections::BTreeMap;
use std::iter::Peekable;
use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use zerocopy::little_endian::U32;
use zerocopy::{FromBytes, IntoBytes};

use crate::codec::{self, DELTA_FORMAT, WireDelta, WireError, WireServices};
use crate::limits::MAX_DELTA_BYTES;
use crate::state::range_in;
use crate::wire_peers::{PeerWriter, check_peers, name_at, name_bytes_at, server_address};
use crate::wire_services::{encode_services, parse_services};
use crate::{MeshAddress, MeshState, PeerRecord, Revision, Service};

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
    services: Option<Arc<[Service]>>,
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
        let services = wire.services.map(|wire| parse_services(wire.count, wire.services, server)).transpose()?;
        Ok(Self {
            mesh: wire.mesh,
            base: Revision(wire.base),
            revision: Revision(wire.revision),
            removed: range_in(&body, wire.removed),
            peers: range_in(&body, wire.peers),
            names: range_in(&body, wire.names),
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
        for (old, new) in side_by_side(before.peers(), after.peers()) {
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
        if before.services() != after.services() {
            draft.services = Some(after.services());
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
            draft.services = delta.services().or(draft.services);
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

    /// All services, sorted by name; none if they are as they were.
    pub fn services(&self) -> Option<&[Service]> {
        self.services.as_deref()
    }

    /// What [`MeshDelta::services`] shares.
    pub(crate) fn shared_services(&self) -> Option<&Arc<[Service]>> {
        self.services.as_ref()
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

/// What a delta will say, by address.
#[derive(Default)]
struct Draft<'a> {
    addresses: BTreeMap<MeshAddress, Option<(&'a PeerRecord, &'a str)>>,
    services: Option<&'a [Service]>,
}

impl<'a> Draft<'a> {
    fn put(&mut self, peer: &'a PeerRecord, name: &'a str) {
        self.addresses.insert(peer.address(), Some((peer, name)));
    }

    fn remove(&mut self, address: MeshAddress) {
        self.addresses.insert(address, None);
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
        let services =
            self.services.map(|services| encode_services(services, |server| Some(server.index()))).transpose()?;
        let wire = WireDelta {
            format: DELTA_FORMAT,
            mesh,
            base: base.0,
            revision: revision.0,
            removed: removed.as_bytes(),
            peers: &peers.peers,
            names: &peers.names,
            services: services.as_ref().map(|(count, services)| WireServices { count: *count, services }),
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

/// Two lists that are sorted by address, as one of pairs.
fn side_by_side<'a>(
    before: &'a [PeerRecord],
    after: &'a [PeerRecord],
) -> impl Iterator<Item = (Option<&'a PeerRecord>, Option<&'a PeerRecord>)> {
    let (mut before, mut after) = (before.iter().peekable(), after.iter().peekable());
    let address = |records: &mut Peekable<std::slice::Iter<'a, PeerRecord>>| {
        records.peek().map_or(u32::MAX, |record| record.address.get())
    };
    std::iter::from_fn(move || {
        let (old, new) = (address(&mut before), address(&mut after));
        let pair = (before.next_if(|_| old <= new), after.next_if(|_| new <= old));
        (pair.0.is_some() || pair.1.is_some()).then_some(pair)
    })
}
