//! Indices over one whole [`MeshState`]: by address, by key and by name, in constant time.
//!
//! Costs beside the state's own 64 bytes a peer: a bitmap of 2^22 bits with ranks (544 KiB whatever the size of the
//! mesh), and 5.4 bytes a peer for each of the two hash tables, which hold indices and no keys.

use std::hash::BuildHasher;
use std::sync::Arc;

use hashbrown::DefaultHashBuilder;

use crate::index::Index;
use crate::limits::MESH_ADDRESSES;
use crate::standing::{Own, SkipReason, SkippedPeer, Standing};
use crate::{MeshAddress, MeshState, PeerRecord, PublicKey};

/// Bits a rank covers: one cache line.
const BLOCK_BITS: usize = 512;
const WORDS: usize = MESH_ADDRESSES as usize / 64;

/// See the module.
pub(crate) struct Base {
    state: Arc<MeshState>,
    own: Option<Own>,
    /// One bit an address.
    present: Box<[u64]>,
    /// Records before each block of [`BLOCK_BITS`] addresses.
    ranks: Box<[u32]>,
    by_key: Index,
    by_name: Index,
    /// Records whose key an earlier peer has, sorted by key and index: one of them takes over when that peer goes.
    doubled_keys: Vec<u32>,
    /// Records whose name an earlier server has, sorted by name and index.
    doubled_names: Vec<u32>,
    /// Indices that are no peers, sorted: this server, and what was skipped.
    excluded: Vec<u32>,
    /// Sorted by address.
    skipped: Vec<SkippedPeer>,
    hasher: DefaultHashBuilder,
}

/// What each record tells by itself.
struct Seen {
    present: Box<[u64]>,
    excluded: Vec<u32>,
    skipped: Vec<(u32, SkipReason)>,
}

impl Seen {
    fn of(records: &[PeerRecord], own: Option<Own>) -> Self {
        let mut present = vec![0_u64; WORDS].into_boxed_slice();
        let mut excluded = Vec::new();
        let mut skipped = Vec::new();
        for (at, record) in records.iter().enumerate() {
            let address = record.address.get() as usize;
            present[address / 64] |= 1 << (address % 64);
            match Standing::of(record, own) {
                Standing::Peer => continue,
                Standing::Own => {}
                Standing::Skipped(reason) => skipped.push((at as u32, reason)),
            }
            excluded.push(at as u32);
        }
        Self { present, excluded, skipped }
    }
}

impl Base {
    pub(crate) fn new(state: Arc<MeshState>, own: Option<Own>) -> Self {
        let hasher = DefaultHashBuilder::default();
        let records = state.peers();
        let name = |at: &u32| state.name_bytes_of(&records[*at as usize]);
        let key = |at: &u32| records[*at as usize].public_key();
        let (seen, (by_key, mut doubled_keys), (by_name, mut doubled_names)) = std::thread::scope(|scope| {
            // Half of the work beside the other half.
            let names = scope.spawn(|| {
                let hashes = (0..records.len() as u32).map(|at| Some((hasher.hash_one(name(&at)), at)));
                Index::build(hashes, |one, other| name(&one) == name(&other))
            });
            let seen = Seen::of(records, own);
            let mut left_out = seen.excluded.iter().peekable();
            let hashes = records.iter().enumerate().map(|(at, record)| {
                let is_peer = left_out.next_if_eq(&&(at as u32)).is_none();
                is_peer.then(|| (hasher.hash_one(record.public_key()), at as u32))
            });
            let keys = Index::build(hashes, |one, other| key(&one) == key(&other));
            (seen, keys, names.join().expect("hashing names does not panic"))
        });
        let Seen { present, mut excluded, mut skipped } = seen;
        excluded.extend(&doubled_keys);
        excluded.sort_unstable();
        skipped.extend(doubled_keys.iter().map(|&at| (at, SkipReason::DuplicateKey)));
        skipped.sort_unstable_by_key(|(at, _)| *at);
        let skipped = skipped
            .into_iter()
            .map(|(at, reason)| {
                let record = &records[at as usize];
                SkippedPeer { name: state.name_of(record).to_owned(), address: record.address(), reason }
            })
            .collect();
        // Stable: those of one key stay in order.
        doubled_keys.sort_by_key(|at| *key(at));
        doubled_names.sort_by_key(|at| name(at));
        let ranks = ranks(&present);
        Self { own, present, ranks, by_key, by_name, doubled_keys, doubled_names, excluded, skipped, hasher, state }
    }

    pub(crate) fn state(&self) -> &Arc<MeshState> {
        &self.state
    }

    pub(crate) fn own(&self) -> Option<Own> {
        self.own
    }

    /// How many peers there are.
    pub(crate) fn len(&self) -> usize {
        self.state.peers().len() - self.excluded.len()
    }

    /// All peers, by address.
    pub(crate) fn peers(&self) -> impl Iterator<Item = &PeerRecord> {
        let mut excluded = self.excluded.iter().peekable();
        let records = self.state.peers().iter().enumerate();
        records.filter(move |(at, _)| excluded.next_if_eq(&&(*at as u32)).is_none()).map(|(_, record)| record)
    }

    /// Records that were left out, and why, by address.
    pub(crate) fn skipped(&self) -> &[SkippedPeer] {
        &self.skipped
    }

    pub(crate) fn server_by_address(&self, address: MeshAddress) -> Option<&PeerRecord> {
        Some(&self.state.peers()[self.index_of(address)?])
    }

    pub(crate) fn peer_by_address(&self, address: MeshAddress) -> Option<&PeerRecord> {
        let at = self.index_of(address)?;
        self.excluded.binary_search(&(at as u32)).is_err().then(|| &self.state.peers()[at])
    }

    /// What the server with that address is.
    pub(crate) fn standing(&self, address: MeshAddress) -> Option<Standing> {
        if self.peer_by_address(address).is_some() {
            return Some(Standing::Peer);
        }
        self.index_of(address)?;
        let skipped = self.skipped.binary_search_by_key(&address, |skipped| skipped.address);
        Some(skipped.map_or(Standing::Own, |at| Standing::Skipped(self.skipped[at].reason)))
    }

    pub(crate) fn peer_by_key(&self, key: &PublicKey) -> Option<&PeerRecord> {
        let records = self.state.peers();
        let found = self.by_key.find(self.hasher.hash_one(key), |at| records[at as usize].public_key() == key)?;
        Some(&records[found as usize])
    }

    pub(crate) fn server_by_name(&self, name: &str) -> Option<&PeerRecord> {
        let records = self.state.peers();
        let is_it = |at: u32| self.state.name_bytes_of(&records[at as usize]) == name.as_bytes();
        Some(&records[self.by_name.find(self.hasher.hash_one(name.as_bytes()), is_it)? as usize])
    }

    /// Those that could be the peer with that key, by address: the one that is, and those that were skipped for it.
    pub(crate) fn claimants_of_key(&self, key: &PublicKey) -> impl Iterator<Item = &PeerRecord> {
        let key_at = |at: &u32| self.state.peers()[*at as usize].public_key();
        let from = self.doubled_keys.partition_point(|at| key_at(at) < key);
        let others = self.doubled_keys[from..].iter().take_while(move |at| key_at(at) == key);
        self.peer_by_key(key).into_iter().chain(others.map(|at| &self.state.peers()[*at as usize]))
    }

    /// Those of that name, by address.
    pub(crate) fn claimants_of_name(&self, name: &str) -> impl Iterator<Item = &PeerRecord> {
        let name_at = |at: &u32| self.state.name_of(&self.state.peers()[*at as usize]);
        let from = self.doubled_names.partition_point(|at| name_at(at) < name);
        let others = self.doubled_names[from..].iter().take_while(move |at| name_at(at) == name);
        self.server_by_name(name).into_iter().chain(others.map(|at| &self.state.peers()[*at as usize]))
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
