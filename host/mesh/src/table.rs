//! `PeerTable`: who is who in a state, by address, by key and by name, in constant time.
//!
//! Costs beside the state's own 64 bytes a peer: a bitmap of 2^22 bits with ranks (544 KiB whatever the size of the
//! mesh), and 4.5 bytes a peer for each of the two hash tables, which hold indices and no keys.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;
use serde::Serialize;

use crate::index::Index;
use crate::limits::MESH_ADDRESSES;
use crate::{MeshAddress, MeshState, PeerRecord, PublicKey, Service};

/// Bits a rank covers: one cache line.
const BLOCK_BITS: usize = 512;
const WORDS: usize = MESH_ADDRESSES as usize / 64;

/// Which server of the mesh this one is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Own {
    /// Its address.
    pub address: MeshAddress,
    /// Its key.
    pub public_key: PublicKey,
}

/// A record that was left out of the table, and why.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SkippedPeer {
    /// Its name.
    pub name: String,
    /// Its address.
    pub address: MeshAddress,
    /// Why it makes no sense.
    pub reason: SkipReason,
}

/// Why a record makes no sense beside the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "kebab-case")]
pub enum SkipReason {
    /// This server's key at another address.
    OwnKey,
    /// The key of a record before it.
    DuplicateKey,
    /// No key at all.
    ZeroKey,
}

/// Indices over one [`MeshState`].
pub struct PeerTable {
    state: Arc<MeshState>,
    own: Option<usize>,
    /// One bit an address.
    present: Box<[u64]>,
    /// Records before each block of [`BLOCK_BITS`] addresses.
    ranks: Box<[u32]>,
    by_key: Index,
    by_name: Index,
    /// Indices that are no peers, sorted: this server, and what was skipped.
    excluded: Vec<u32>,
    skipped: Vec<SkippedPeer>,
    /// Services that have an instance on this server, by index.
    local_services: Vec<usize>,
    /// `(host, index of the service)`, sorted.
    hosts: Vec<(String, usize)>,
    hasher: DefaultHashBuilder,
}

impl PeerTable {
    /// Indexes a state. `own` is left out of the peers; so is every record that makes no sense beside the others.
    pub fn new(state: Arc<MeshState>, own: Option<Own>) -> Self {
        let hasher = DefaultHashBuilder::default();
        let records = state.peers();
        let mut present = vec![0_u64; WORDS].into_boxed_slice();
        let mut excluded = Vec::new();
        let mut skipped = Vec::new();
        let mut own_index = None;
        for (at, record) in records.iter().enumerate() {
            let address = record.address.get() as usize;
            present[address / 64] |= 1 << (address % 64);
            let reason = match own {
                Some(own) if own.address == record.address() => {
                    own_index = Some(at);
                    excluded.push(at as u32);
                    continue;
                }
                Some(own) if own.public_key == *record.public_key() => SkipReason::OwnKey,
                _ if record.public_key().is_zero() => SkipReason::ZeroKey,
                _ => continue,
            };
            excluded.push(at as u32);
            skipped.push((at as u32, reason));
        }
        let (by_name, (by_key, doubled)) = std::thread::scope(|scope| {
            // Half of the work beside the other half.
            let names = scope.spawn(|| {
                let hashes = records
                    .iter()
                    .enumerate()
                    .map(|(at, record)| Some((hasher.hash_one(state.name_of(record)), at as u32)));
                let name = |at: u32| state.name_of(&records[at as usize]);
                Index::build(hashes, |one, other| name(one) == name(other)).0
            });
            let mut left_out = excluded.iter().peekable();
            let hashes = records.iter().enumerate().map(|(at, record)| {
                let is_peer = left_out.next_if_eq(&&(at as u32)).is_none();
                is_peer.then(|| (hasher.hash_one(record.public_key()), at as u32))
            });
            let key = |at: u32| records[at as usize].public_key();
            let by_key = Index::build(hashes, |one, other| key(one) == key(other));
            (names.join().expect("hashing names does not panic"), by_key)
        });
        excluded.extend(&doubled);
        excluded.sort_unstable();
        skipped.extend(doubled.into_iter().map(|at| (at, SkipReason::DuplicateKey)));
        skipped.sort_unstable_by_key(|(at, _)| *at);
        let skipped = skipped
            .into_iter()
            .map(|(at, reason)| {
                let record = &records[at as usize];
                SkippedPeer { name: state.name_of(record).to_owned(), address: record.address(), reason }
            })
            .collect();
        let local_services = match own_index {
            None => Vec::new(),
            Some(own) => {
                let runs_here =
                    |service: &Service| service.instances.binary_search_by_key(&own, |i| i.server()).is_ok();
                (0..state.services().len()).filter(|&at| runs_here(&state.services()[at])).collect()
            }
        };
        let mut hosts: Vec<(String, usize)> = Vec::new();
        for (at, service) in state.services().iter().enumerate() {
            hosts.extend(service.hosts.iter().map(|host| (host.as_str().to_owned(), at)));
        }
        hosts.sort();
        let ranks = ranks(&present);
        Self {
            own: own_index,
            present,
            ranks,
            by_key,
            by_name,
            excluded,
            skipped,
            local_services,
            hosts,
            hasher,
            state,
        }
    }

    /// The state that is indexed.
    pub fn state(&self) -> &Arc<MeshState> {
        &self.state
    }

    /// This server's own record, if it is in the state.
    pub fn own(&self) -> Option<&PeerRecord> {
        self.own.map(|at| &self.state.peers()[at])
    }

    /// The peer with that address: any server but this one and those skipped.
    pub fn peer_by_address(&self, address: MeshAddress) -> Option<&PeerRecord> {
        let at = self.index_of(address)?;
        (!self.is_excluded(at)).then(|| &self.state.peers()[at])
    }

    /// The peer with that key: any server but this one and those skipped.
    pub fn peer_by_key(&self, key: &PublicKey) -> Option<&PeerRecord> {
        let records = self.state.peers();
        let found = self.by_key.find(self.hasher.hash_one(key), |at| records[at as usize].public_key() == key)?;
        Some(&records[found as usize])
    }

    /// The server with that address, this one included.
    pub fn server_by_address(&self, address: MeshAddress) -> Option<&PeerRecord> {
        Some(&self.state.peers()[self.index_of(address)?])
    }

    /// The server of that name, this one included.
    pub fn server_by_name(&self, name: &str) -> Option<&PeerRecord> {
        let records = self.state.peers();
        let is_it = |at: u32| self.state.name_of(&records[at as usize]) == name;
        Some(&records[self.by_name.find(self.hasher.hash_one(name), is_it)? as usize])
    }

    /// The service with that further host name; of several, the first by its own name.
    pub fn service_by_host(&self, host: &str) -> Option<&Service> {
        let at = self.hosts.partition_point(|(name, _)| name.as_str() < host);
        let (name, service) = self.hosts.get(at)?;
        (name == host).then(|| &self.state.services()[*service])
    }

    /// The services that have an instance on this server.
    pub fn local_services(&self) -> impl Iterator<Item = &Service> {
        self.local_services.iter().map(|&at| &self.state.services()[at])
    }

    /// All peers, by address. Visits the whole mesh: for a change of the mesh, never for a packet or a query.
    pub fn peers(&self) -> impl Iterator<Item = &PeerRecord> {
        self.state.peers().iter().enumerate().filter(|(at, _)| !self.is_excluded(*at)).map(|(_, record)| record)
    }

    /// How many peers there are.
    pub fn len(&self) -> usize {
        self.state.peers().len() - self.excluded.len()
    }

    /// Whether this server is alone.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Records that were left out, and why.
    pub fn skipped(&self) -> &[SkippedPeer] {
        &self.skipped
    }

    fn is_excluded(&self, at: usize) -> bool {
        self.excluded.binary_search(&(at as u32)).is_ok()
    }

    /// Where the record of an address stands: the number of addresses in use below it.
    fn index_of(&self, address: MeshAddress) -> Option<usize> {
        let bit = address.index() as usize;
        if self.present[bit / 64] >> (bit % 64) & 1 == 0 {
            return None;
        }
        let block = bit / BLOCK_BITS;
        let whole = &self.present[block * BLOCK_BITS / 64..bit / 64];
        let before: u32 = whole.iter().map(|word| word.count_ones()).sum();
        let within = (self.present[bit / 64] & ((1 << (bit % 64)) - 1)).count_ones();
        Some((self.ranks[block] + before + within) as usize)
    }
}

impl std::fmt::Debug for PeerTable {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("PeerTable").field("revision", &self.state.revision()).field("peers", &self.len()).finish()
    }
}

fn ranks(present: &[u64]) -> Box<[u32]> {
    let mut sum = 0;
    let ones = |block: &[u64]| block.iter().map(|word| word.count_ones()).sum::<u32>();
    let blocks = present.chunks_exact(BLOCK_BITS / 64);
    blocks
        .map(|block| {
            let before = sum;
            sum += ones(block);
            before
        })
        .collect()
}
