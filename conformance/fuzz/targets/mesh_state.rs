//! Any bytes as a mesh state: refused, or a state that can be used whole, that its builder makes again, and whose
//! indices agree with a search through all records.

#![no_main]

use std::sync::Arc;

use libfuzzer_sys::fuzz_target;
use servos_mesh::{
    DnsLabel, MeshState, MeshStateBuilder, Own, PeerEntry, PeerRecord, PeerTable, PublicKey, Revision, Service,
    SkipReason,
};

fuzz_target!(|bytes: &[u8]| {
    let Ok(state) = MeshState::parse(bytes.to_vec().into()) else { return };
    assert_eq!(state.body(), bytes);
    let state = Arc::new(state);
    let records = state.peers();
    for record in records {
        assert!(DnsLabel::is_valid(state.name_of(record)));
    }
    assert!(records.is_sorted_by(|one, other| one.address() < other.address()));
    made_again(&state);
    let chosen = records.get(bytes.len() % (records.len() + 1));
    indexed(&state, None);
    indexed(&state, chosen.map(|record| Own { address: record.address(), public_key: *record.public_key() }));
});

/// The builder makes a state that says the same.
fn made_again(state: &MeshState) {
    // What has no key of its own a builder cannot be given.
    if state.peers().iter().any(is_zero) {
        return;
    }
    let mut builder =
        MeshStateBuilder::new(state.mesh(), state.organisation(), state.domain().clone(), state.revision());
    for record in state.peers() {
        builder.peer(PeerEntry {
            public_key: *record.public_key(),
            endpoint: record.endpoint(),
            address: record.address(),
            name: state.name_of(record).parse().expect("a label"),
            key_generation: record.key_generation(),
            since: Revision(record.since().into()),
        });
    }
    for service in state.services() {
        let places = service.instances.iter();
        let places = places.map(|one| (one.server(), one.port(), one.weight())).collect();
        builder.service(service.clone(), places);
    }
    let again = builder.build().expect("what parses can be built");
    assert_eq!(again.services(), state.services());
    let said = |state: &MeshState, record: &PeerRecord| {
        let key = (*record.public_key(), record.key_generation());
        (key, record.endpoint(), record.address(), record.since(), state.name_of(record).to_owned())
    };
    assert!(
        again.peers().iter().map(|one| said(&again, one)).eq(state.peers().iter().map(|one| said(state, one))),
        "the peers are others"
    );
}

/// The table agrees with a search.
fn indexed(state: &Arc<MeshState>, own: Option<Own>) {
    let table = PeerTable::new(state.clone(), own);
    let records = state.peers();
    let mut peers: Vec<&PeerRecord> = Vec::new();
    let mut skipped = Vec::new();
    for record in records {
        let reason = match own {
            Some(own) if own.address == record.address() => continue,
            Some(own) if own.public_key == *record.public_key() => SkipReason::OwnKey,
            _ if is_zero(record) => SkipReason::ZeroKey,
            _ if PublicKey::from_bytes(*record.public_key().as_bytes()).is_err() => SkipReason::SmallOrderKey,
            _ if peers.iter().any(|peer| peer.public_key() == record.public_key()) => SkipReason::DuplicateKey,
            _ => {
                peers.push(record);
                continue;
            }
        };
        skipped.push((record.address(), reason));
    }
    assert!(table.peers().eq(peers.iter().copied()));
    assert_eq!((table.len(), table.is_empty()), (peers.len(), peers.is_empty()));
    assert!(table.skipped().map(|skipped| (skipped.address, skipped.reason)).eq(skipped));
    for record in records {
        let is_peer = peers.contains(&record);
        assert_eq!(table.server_by_address(record.address()), Some(record));
        assert_eq!(table.peer_by_address(record.address()), is_peer.then_some(record));
        let by_key = peers.iter().find(|peer| peer.public_key() == record.public_key()).copied();
        assert_eq!(table.peer_by_key(record.public_key()), by_key);
        let name = state.name_of(record);
        assert_eq!(table.server_by_name(name), records.iter().find(|other| state.name_of(other) == name));
    }
    let at = own.map(|own| own.address);
    let runs_here = |service: &&Service| service.instances.iter().any(|instance| Some(instance.server()) == at);
    assert!(table.local_services().eq(state.services().iter().filter(runs_here)));
    for service in state.services() {
        assert_eq!(table.service(service.name.as_str()), Some(service));
        for instance in &service.instances {
            assert!(table.server_by_address(instance.server()).is_some());
        }
        for host in &service.hosts {
            let first = state.services().iter().find(|service| service.hosts.contains(host));
            assert_eq!(table.service_by_host(host.as_str()), first);
        }
    }
}

fn is_zero(record: &PeerRecord) -> bool {
    *record.public_key().as_bytes() == [0; 32]
}
