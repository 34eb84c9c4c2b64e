//! What deltas changed over a whole state: found by address, by key and by name, and cheap to change further.
//!
//! The maps are persistent: a later overlay shares all that did not change with the one before it. Each holds what the
//! base would answer otherwise; what is not in them is as in the base. A key or name that several servers have is the
//! one's with the lowest address, so a server that goes, or changes its key, may make way for one that nobody named.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use rpds::HashTrieMapSync;

use crate::base::Base;
use crate::standing::{SkipReason, SkippedPeer, Standing};
use crate::{MeshAddress, MeshDelta, PeerRecord, PublicKey};

type Map<K, V> = HashTrieMapSync<K, V, DefaultHashBuilder>;

/// See the module.
#[derive(Clone)]
pub(crate) struct Overlay {
    addresses: Map<MeshAddress, Entry>,
    keys: Map<PublicKey, Claim>,
    names: Map<Arc<str>, Claim>,
    /// Addresses in `addresses` whose server is skipped.
    skipped: Map<MeshAddress, SkippedPeer>,
}

/// What differs at an address.
#[derive(Clone)]
enum Entry {
    /// Nobody has it.
    Vacant,
    /// A server has it that a delta named.
    Server { record: Box<PeerRecord>, name: Arc<str>, standing: Standing },
    /// The base's server has it, and is something else than in the base.
    Base(Standing),
}

/// Whose a key or a name is.
#[derive(Clone, Default)]
struct Claim {
    /// Servers of the overlay that have it, sorted.
    here: Vec<MeshAddress>,
    /// The first of all that have it, those of the base among them.
    first: Option<MeshAddress>,
}

/// What a delta did to an overlay.
pub(crate) struct Followed {
    pub(crate) overlay: Overlay,
    /// Addresses whose server came, went, changed, or is something else than before. Sorted.
    pub(crate) changed: Vec<MeshAddress>,
    /// Peers that came, less those that went.
    pub(crate) more_peers: isize,
}

impl Overlay {
    pub(crate) fn new() -> Self {
        let hasher = DefaultHashBuilder::default;
        Self {
            addresses: Map::new_with_hasher_and_ptr_kind(hasher()),
            keys: Map::new_with_hasher_and_ptr_kind(hasher()),
            names: Map::new_with_hasher_and_ptr_kind(hasher()),
            skipped: Map::new_with_hasher_and_ptr_kind(hasher()),
        }
    }

    /// Addresses that differ from the base.
    pub(crate) fn len(&self) -> usize {
        self.addresses.size()
    }

    pub(crate) fn server_by_address<'a>(&'a self, base: &'a Base, address: MeshAddress) -> Option<&'a PeerRecord> {
        match self.addresses.get(&address) {
            None | Some(Entry::Base(_)) => base.server_by_address(address),
            Some(Entry::Vacant) => None,
            Some(Entry::Server { record, .. }) => Some(record),
        }
    }

    pub(crate) fn peer_by_address<'a>(&'a self, base: &'a Base, address: MeshAddress) -> Option<&'a PeerRecord> {
        match self.addresses.get(&address) {
            None => base.peer_by_address(address),
            Some(Entry::Base(Standing::Peer)) => base.server_by_address(address),
            Some(Entry::Server { record, standing: Standing::Peer, .. }) => Some(record),
            Some(_) => None,
        }
    }

    pub(crate) fn peer_by_key<'a>(&'a self, base: &'a Base, key: &PublicKey) -> Option<&'a PeerRecord> {
        let address = match self.keys.get(key) {
            Some(claim) => claim.first?,
            None => return base.peer_by_key(key),
        };
        self.server_by_address(base, address)
    }

    pub(crate) fn server_by_name<'a>(&'a self, base: &'a Base, name: &str) -> Option<&'a PeerRecord> {
        match self.names.get(name) {
            Some(claim) => self.server_by_address(base, claim.first?),
            None => base.server_by_name(name),
        }
    }

    pub(crate) fn name_of<'a>(&'a self, base: &'a Base, server: &PeerRecord) -> &'a str {
        match self.addresses.get(&server.address()) {
            Some(Entry::Server { name, .. }) => name,
            _ => base.state().name_of(server),
        }
    }

    /// All servers, by address. Visits the whole mesh.
    pub(crate) fn servers<'a>(&'a self, base: &'a Base) -> impl Iterator<Item = &'a PeerRecord> {
        self.over(base.state().peers().iter(), |address| self.server_by_address(base, address))
    }

    /// All peers, by address. Visits the whole mesh.
    pub(crate) fn peers<'a>(&'a self, base: &'a Base) -> impl Iterator<Item = &'a PeerRecord> {
        self.over(base.peers(), |address| self.peer_by_address(base, address))
    }

    /// Records of the base, with what is here in their place. All by address.
    fn over<'a>(
        &'a self,
        below: impl Iterator<Item = &'a PeerRecord>,
        here: impl Fn(MeshAddress) -> Option<&'a PeerRecord>,
    ) -> impl Iterator<Item = &'a PeerRecord> {
        let mut addresses: Vec<_> = self.addresses.keys().copied().collect();
        addresses.sort_unstable();
        let records: Vec<_> = addresses.iter().filter_map(|&address| here(address)).collect();
        let mut replaced = addresses.into_iter().peekable();
        let below = below.filter(move |record| {
            let address = record.address();
            while replaced.next_if(|replaced| *replaced < address).is_some() {}
            replaced.peek() != Some(&address)
        });
        merged(records.into_iter(), below, |record| record.address())
    }

    /// Records that were left out, and why, by address.
    pub(crate) fn skipped<'a>(&'a self, base: &'a Base) -> impl Iterator<Item = &'a SkippedPeer> {
        let mut here: Vec<_> = self.skipped.values().collect();
        here.sort_unstable_by_key(|skipped| skipped.address);
        let below = base.skipped().iter().filter(|skipped| !self.addresses.contains_key(&skipped.address));
        merged(here.into_iter(), below, |skipped| skipped.address)
    }

    /// Whether a delta put something in the place of what the base has there.
    fn is_replaced(&self, address: MeshAddress) -> bool {
        matches!(self.addresses.get(&address), Some(Entry::Vacant | Entry::Server { .. }))
    }

    /// What a delta leads to. Costs what it names, and those that take over what it takes away.
    pub(crate) fn follow(&self, base: &Base, delta: &MeshDelta) -> Followed {
        let mut change = Change {
            base,
            before: self,
            next: self.clone(),
            keys: HashMap::new(),
            names: HashMap::new(),
            changed: BTreeSet::new(),
        };
        delta.removed().for_each(|address| change.take(address));
        for record in delta.peers() {
            change.take(record.address());
            change.put(record, delta.name_of(record));
        }
        change.settle_keys();
        change.settle_names();
        let is_peer = |overlay: &Self, address| isize::from(overlay.peer_by_address(base, address).is_some());
        let more_peers =
            change.changed.iter().map(|&address| is_peer(&change.next, address) - is_peer(self, address)).sum();
        Followed { overlay: change.next, changed: change.changed.into_iter().collect(), more_peers }
    }
}

/// A delta on its way into an overlay.
struct Change<'a> {
    base: &'a Base,
    before: &'a Overlay,
    next: Overlay,
    /// Keys that somebody lost or got, with the servers of the overlay that have them.
    keys: HashMap<PublicKey, Vec<MeshAddress>>,
    names: HashMap<Arc<str>, Vec<MeshAddress>>,
    changed: BTreeSet<MeshAddress>,
}

impl<'a> Change<'a> {
    /// Takes away who is there.
    fn take(&mut self, address: MeshAddress) {
        let (before, base) = (self.before, self.base);
        let Some(server) = before.server_by_address(base, address) else { return };
        let name: Arc<str> = before.name_of(base, server).into();
        self.key_holders(*server.public_key()).retain(|holder| *holder != address);
        self.name_holders(name).retain(|holder| *holder != address);
        self.set(address, Entry::Vacant);
    }

    /// Puts a server to where nobody is.
    fn put(&mut self, record: &PeerRecord, name: &str) {
        let (address, name) = (record.address(), Arc::<str>::from(name));
        let standing = match Standing::of(record, self.base.own()) {
            // Until it is seen whose the key is.
            Standing::Peer => {
                insert_sorted(self.key_holders(*record.public_key()), address);
                Standing::Skipped(SkipReason::DuplicateKey)
            }
            other => other,
        };
        insert_sorted(self.name_holders(name.clone()), address);
        self.set(address, Entry::Server { record: Box::new(*record), name, standing });
    }

    /// Finds whose each touched key is, and what that makes of who had it and who has it.
    fn settle_keys(&mut self) {
        for (key, here) in std::mem::take(&mut self.keys) {
            let below = self.base.claimants_of_key(&key).map(PeerRecord::address);
            let claim = Claim::of(here, below, |address| self.next.is_replaced(address));
            let before = self.before.peer_by_key(self.base, &key).map(PeerRecord::address);
            if before != claim.first
                && let Some(before) = before
                && let Some(record) = self.next.server_by_address(self.base, before)
                && *record.public_key() == key
                && Standing::of(record, self.base.own()) == Standing::Peer
            {
                self.stand(before, Standing::Skipped(SkipReason::DuplicateKey));
            }
            if let Some(first) = claim.first {
                self.stand(first, Standing::Peer);
            }
            if claim.is_as_below(self.base.peer_by_key(&key)) {
                self.next.keys.remove_mut(&key);
            } else {
                self.next.keys.insert_mut(key, claim);
            }
        }
    }

    fn settle_names(&mut self) {
        for (name, here) in std::mem::take(&mut self.names) {
            let below = self.base.claimants_of_name(&name).map(PeerRecord::address);
            let claim = Claim::of(here, below, |address| self.next.is_replaced(address));
            if claim.is_as_below(self.base.server_by_name(&name)) {
                self.next.names.remove_mut(&*name);
            } else {
                self.next.names.insert_mut(name, claim);
            }
        }
    }

    /// Says what the server at an address is.
    fn stand(&mut self, address: MeshAddress, standing: Standing) {
        match self.next.addresses.get(&address) {
            Some(Entry::Server { standing: before, .. } | Entry::Base(before)) if *before == standing => {}
            Some(Entry::Server { record, name, .. }) => {
                let entry = Entry::Server { record: record.clone(), name: name.clone(), standing };
                self.set(address, entry);
            }
            Some(Entry::Vacant) => {}
            _ if self.base.standing(address) == Some(standing) => {
                if self.next.addresses.remove_mut(&address) {
                    self.next.skipped.remove_mut(&address);
                    self.changed.insert(address);
                }
            }
            _ => self.set(address, Entry::Base(standing)),
        }
    }

    fn set(&mut self, address: MeshAddress, entry: Entry) {
        let skipped = match &entry {
            Entry::Server { standing: Standing::Skipped(reason), .. } | Entry::Base(Standing::Skipped(reason)) => {
                Some(*reason)
            }
            _ => None,
        };
        // Nobody where nobody was is no difference.
        if matches!(entry, Entry::Vacant) && self.base.server_by_address(address).is_none() {
            self.next.addresses.remove_mut(&address);
        } else {
            self.next.addresses.insert_mut(address, entry);
        }
        match (skipped, self.next.server_by_address(self.base, address)) {
            (Some(reason), Some(record)) => {
                let name = self.next.name_of(self.base, record).to_owned();
                self.next.skipped.insert_mut(address, SkippedPeer { name, address, reason });
            }
            _ => drop(self.next.skipped.remove_mut(&address)),
        }
        self.changed.insert(address);
    }

    fn key_holders(&mut self, key: PublicKey) -> &mut Vec<MeshAddress> {
        let before = self.before;
        let holders = || before.keys.get(&key).map(|claim| claim.here.clone()).unwrap_or_default();
        self.keys.entry(key).or_insert_with(holders)
    }

    fn name_holders(&mut self, name: Arc<str>) -> &mut Vec<MeshAddress> {
        let before = self.before;
        let holders = |name: &Arc<str>| before.names.get(name).map(|claim| claim.here.clone()).unwrap_or_default();
        self.names.entry(name).or_insert_with_key(holders)
    }
}

impl Claim {
    /// `here`: servers of the overlay, sorted; `below`: those of the base, by address, of which some are `replaced`.
    fn of(
        here: Vec<MeshAddress>,
        mut below: impl Iterator<Item = MeshAddress>,
        replaced: impl Fn(MeshAddress) -> bool,
    ) -> Self {
        let below = below.find(|&address| !replaced(address));
        let first = here.first().copied().into_iter().chain(below).min();
        Self { here, first }
    }

    /// Whether nothing has to be remembered of it, since the base says the same.
    fn is_as_below(&self, below: Option<&PeerRecord>) -> bool {
        self.here.is_empty() && self.first == below.map(PeerRecord::address)
    }
}

fn insert_sorted(addresses: &mut Vec<MeshAddress>, address: MeshAddress) {
    if let Err(at) = addresses.binary_search(&address) {
        addresses.insert(at, address);
    }
}

/// Two lists that are sorted by address, as one.
fn merged<T>(
    one: impl Iterator<Item = T>,
    other: impl Iterator<Item = T>,
    address: impl Fn(&T) -> MeshAddress,
) -> impl Iterator<Item = T> {
    let (mut one, mut other) = (one.peekable(), other.peekable());
    std::iter::from_fn(move || match (one.peek(), other.peek()) {
        (Some(first), Some(second)) if address(second) < address(first) => other.next(),
        (None, _) => other.next(),
        _ => one.next(),
    })
}
