//! A table that deltas led to, against the table of the whole state that they lead to.

#![cfg(test)]

mod common;

use std::collections::BTreeSet;
use std::net::SocketAddr;
use std::sync::Arc;

use common::history::{History, POOL, any_history, key};
use common::{address, example, label};
use proptest::prelude::*;
use servos_mesh::{
    DeltaError, MeshAddress, MeshDelta, MeshState, Own, PeerEntry, PeerRecord, PeerTable, PublicKey, Revision, limits,
};

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1_500))]

    #[test]
    fn a_chain_of_deltas_answers_as_the_whole_does(history in any_history(), compacts in any::<u8>()) {
        let states = states(&history);
        let first = PeerTable::new(states[0].clone(), history.own);
        let mut tables = vec![Arc::new(first)];
        for (number, pair) in states.windows(2).enumerate() {
            let delta = read_back(&between(&pair[0], &pair[1]));
            let before = tables.last().unwrap().clone();
            let table = before.apply(&delta).unwrap();
            let whole = PeerTable::new(pair[1].clone(), history.own);
            assert_agree(&table, &whole);
            let compacted = table.compact(history.own).unwrap();
            prop_assert_eq!(compacted.base().body(), pair[1].body());
            assert_agree(&compacted, &whole);
            for earlier in &tables {
                for table in [&table, &compacted] {
                    let changed = table.changes_since(earlier).unwrap();
                    let changed: BTreeSet<_> = changed.collect();
                    prop_assert!(differences(earlier, table).is_subset(&changed), "{:?}", changed);
                }
            }
            // Some chains lead over a whole that was written out anew.
            tables.push(Arc::new(if compacts >> number & 1 == 1 { compacted } else { table }));
        }
    }

    #[test]
    fn a_composed_delta_does_what_its_chain_does(history in any_history(), from in any::<prop::sample::Index>()) {
        let states = states(&history);
        let from = from.index(states.len() - 1);
        let chain: Vec<_> = states[from..].windows(2).map(|pair| between(&pair[0], &pair[1])).collect();

        let composed = read_back(&MeshDelta::compose(&chain).unwrap().unwrap());

        prop_assert_eq!((composed.base(), composed.revision()), (states[from].revision(), states.last().unwrap().revision()));
        let table = PeerTable::new(states[from].clone(), history.own).apply(&composed).unwrap();
        let whole = PeerTable::new(states.last().unwrap().clone(), history.own);
        assert_agree(&table, &whole);
        let compacted = table.compact(history.own).unwrap();
        prop_assert_eq!(compacted.base().body(), states.last().unwrap().body());
    }
}

#[test]
fn the_server_that_goes_makes_way_for_the_one_that_was_skipped() {
    let mut mesh = example();
    mesh.services.clear();
    mesh.peers[1].public_key = mesh.peers[0].public_key;
    mesh.peers[1].name = mesh.peers[0].name.clone();
    let table = PeerTable::new(Arc::new(mesh.build().unwrap()), None);
    let (first, second) = (address(1), address(2));
    assert_eq!(table.peer_by_key(&key(1)).unwrap().address(), first);
    assert!(table.peer_by_address(second).is_none());

    let before = mesh.build().unwrap();
    mesh.peers.remove(0);
    mesh.revision.0 += 1;
    let next = table.apply(&between(&before, &mesh.build().unwrap())).unwrap();

    assert_eq!(next.peer_by_key(&key(1)).unwrap().address(), second);
    assert_eq!(next.server_by_name("web-1").unwrap().address(), second);
    assert_eq!(next.peer_by_address(second).unwrap().address(), second);
    assert_eq!((next.len(), next.skipped().count()), (2, 0));
    let changed: Vec<_> = next.changes_since(&table).unwrap().collect();
    assert_eq!(changed, [first, second], "the delta names one, and two are not what they were");
}

#[test]
fn a_delta_of_another_mesh_or_base_is_refused() {
    let mesh = example();
    let mut later = mesh.clone();
    later.revision.0 += 1;
    let delta = between(&mesh.build().unwrap(), &later.build().unwrap());
    let table = PeerTable::new(Arc::new(mesh.build().unwrap()), None);
    let next = table.apply(&delta).unwrap();
    let error = next.apply(&delta).unwrap_err();
    assert_eq!(error, DeltaError::Base { base: mesh.revision, revision: later.revision });

    let other = common::Mesh { id: [9; 16], ..mesh.clone() };
    let error = PeerTable::new(Arc::new(other.build().unwrap()), None).apply(&delta).unwrap_err();
    assert_eq!(error, DeltaError::Mesh);
}

#[test]
fn a_service_cannot_lose_its_server() {
    let mesh = example();
    let (mut other, mut without) = (mesh.clone(), mesh.clone());
    // A delta that removes a server, of a mesh in which no service needs it.
    other.services.clear();
    without.services.clear();
    without.peers.remove(1);
    without.revision.0 += 1;
    let delta = between(&other.build().unwrap(), &without.build().unwrap());
    assert_eq!((delta.services().len(), delta.removed_services().count()), (0, 0));

    let table = PeerTable::new(Arc::new(mesh.build().unwrap()), None);
    assert_eq!(table.apply(&delta).unwrap_err(), DeltaError::Instance(address(2)));

    // One that brings services, to a mesh that lacks a server.
    let mut with = other.clone();
    with.services = mesh.services.clone();
    with.revision.0 += 1;
    let delta = between(&other.build().unwrap(), &with.build().unwrap());
    without.revision = mesh.revision;
    let table = PeerTable::new(Arc::new(without.build().unwrap()), None);
    assert_eq!(table.apply(&delta).unwrap_err(), DeltaError::Instance(address(2)));
}

/// A fleet has many services, and one instance comes or goes at a time.
#[test]
fn a_service_that_changes_is_named_alone() {
    let mut mesh = example();
    let (service, _) = mesh.services[1].clone();
    mesh.services.extend((0..50).map(|number| {
        let places = vec![(address(1), 8080, 100)];
        (servos_mesh::Service { name: label(&format!("s{number:02}")), ..service.clone() }, places)
    }));
    mesh.services[20].1.push((address(2), 8080, 100));
    let first = mesh.build().unwrap();
    let named =
        |delta: &MeshDelta| delta.services().iter().map(|service| service.name.as_str().to_owned()).collect::<Vec<_>>();

    // A server goes, and its instances with it.
    mesh.revision.0 += 1;
    mesh.peers.remove(1);
    mesh.services[20].1.pop();
    mesh.services[1].1.clear();
    let second = mesh.build().unwrap();
    let gone = between(&first, &second);
    assert_eq!((named(&gone), gone.removed_services().count()), (vec!["postgres".into(), "s18".into()], 0));

    // A service goes, and another changes.
    mesh.revision.0 += 1;
    mesh.services.remove(1);
    mesh.services[30].0.port = 1;
    let third = mesh.build().unwrap();
    let replaced = between(&second, &third);
    assert_eq!(named(&replaced), ["s29"]);
    assert_eq!(replaced.removed_services().collect::<Vec<_>>(), ["postgres"]);

    let both = MeshDelta::compose([&gone, &replaced]).unwrap().unwrap();
    assert_eq!((named(&both), both.removed_services().count()), (vec!["s18".into(), "s29".into()], 1));
    let table = PeerTable::new(Arc::new(first), None).apply(&both).unwrap();
    assert_eq!(table.services(), third.services());
}

#[test]
fn no_delta_leads_to_more_services_than_a_state_may_have() {
    let mut mesh = example();
    let (service, _) = mesh.services[1].clone();
    let table = PeerTable::new(Arc::new(mesh.build().unwrap()), None);
    mesh.services.clear();
    let none = mesh.build().unwrap();
    mesh.revision.0 += 1;
    mesh.services = (0..limits::MAX_SERVICES)
        .map(|number| (servos_mesh::Service { name: label(&format!("s{number:05}")), ..service.clone() }, Vec::new()))
        .collect();
    let delta = between(&none, &mesh.build().unwrap());
    assert_eq!(table.apply(&delta).unwrap_err(), DeltaError::Services(limits::MAX_SERVICES + 2));
    let full = PeerTable::new(Arc::new(none), None).apply(&delta).unwrap();
    assert_eq!(full.services().len(), limits::MAX_SERVICES);
}

#[test]
fn tables_that_do_not_follow_from_each_other_differ_everywhere() {
    let mesh = example();
    let state = Arc::new(mesh.build().unwrap());
    let table = PeerTable::new(state.clone(), None);
    let mut one = mesh.clone();
    one.revision.0 += 1;
    one.peers[0].endpoint = None;
    let mut other = mesh.clone();
    other.revision.0 += 1;
    other.peers[1].endpoint = None;
    let one = table.apply(&between(&state, &one.build().unwrap())).unwrap();
    let other = table.apply(&between(&state, &other.build().unwrap())).unwrap();
    assert!(one.changes_since(&other).is_none());
    assert!(table.changes_since(&one).is_none(), "backwards");
    assert!(table.changes_since(&PeerTable::new(state, None)).is_none());
    assert_eq!(one.changes_since(&table).unwrap().collect::<Vec<_>>(), [address(1)]);
    assert_eq!(one.changes_since(&one).unwrap().count(), 0);
}

/// One server that changes again and again leaves nothing behind; many that change ask for a whole.
#[test]
fn an_overlay_grows_with_the_addresses_that_differ_alone() {
    let mut mesh = example();
    mesh.services.clear();
    let mut before = mesh.build().unwrap();
    let mut table = PeerTable::new(Arc::new(mesh.build().unwrap()), None);
    for round in 0..=limits::MIN_OVERLAY {
        mesh.peers[0].public_key = key((round % 100 + 1) as u8);
        mesh.revision.0 += 1;
        let after = mesh.build().unwrap();
        table = table.apply(&between(&before, &after)).unwrap();
        before = after;
    }
    assert!(!table.is_overgrown());
    let remembered = table.changes_since(&PeerTable::new(Arc::new(example().build().unwrap()), None));
    assert!(remembered.is_none());

    mesh.revision.0 += 1;
    for (number, grows) in [(limits::MIN_OVERLAY as u32 - 1, false), (limits::MIN_OVERLAY as u32, true)] {
        let mut mesh = mesh.clone();
        mesh.peers.extend((0..number).map(one_of_many));
        let grown = table.apply(&between(&before, &mesh.build().unwrap())).unwrap();
        assert_eq!(grown.is_overgrown(), grows, "{number} and the one that changes again and again");
    }
    mesh.peers.extend((0..limits::MIN_OVERLAY as u32).map(one_of_many));
    let grown = table.apply(&between(&before, &mesh.build().unwrap())).unwrap();
    assert!(Arc::ptr_eq(grown.base(), table.base()), "the state below is shared");
    let compacted = grown.compact(None).unwrap();
    assert!(!compacted.is_overgrown());
    assert_eq!(compacted.len(), grown.len());
    assert_eq!(compacted.changes_since(&grown).unwrap().count(), 0, "nothing has to be looked at anew");
}

#[test]
fn the_overlay_of_a_large_mesh_may_grow_to_its_share() {
    let mut mesh = example();
    mesh.services.clear();
    let share = limits::MIN_OVERLAY + 50;
    mesh.peers = (0..(share * limits::OVERLAY_SHARE) as u32).map(one_of_many).collect();
    let before = mesh.build().unwrap();
    let table = PeerTable::new(Arc::new(mesh.build().unwrap()), None);
    mesh.revision.0 += 1;
    for (changed, grows) in [(share, false), (share + 1, true)] {
        mesh.peers[..changed].iter_mut().for_each(|peer| peer.since = mesh.revision);
        let delta = between(&before, &mesh.build().unwrap());
        assert_eq!(delta.peers().len(), changed);
        assert_eq!(table.apply(&delta).unwrap().is_overgrown(), grows, "{changed} of {}", mesh.peers.len());
    }
}

/// Whoever lags far behind is told to look at everything.
#[test]
fn only_the_last_changes_are_remembered() {
    let mut mesh = example();
    let mut before = mesh.build().unwrap();
    let mut tables = vec![PeerTable::new(Arc::new(mesh.build().unwrap()), None)];
    for _ in 0..limits::CHANGES_REMEMBERED {
        mesh.revision.0 += 1;
        mesh.peers[0].since = mesh.revision;
        let after = mesh.build().unwrap();
        tables.push(tables.last().unwrap().apply(&between(&before, &after)).unwrap());
        before = after;
    }
    let last = tables.last().unwrap();
    assert!(last.changes_since(&tables[0]).is_none());
    assert_eq!(last.changes_since(&tables[1]).unwrap().collect::<BTreeSet<_>>(), BTreeSet::from([address(1)]));
}

#[test]
fn what_no_delta_can_say_is_not_said() {
    let mesh = example();
    let before = mesh.build().unwrap();
    let later = common::Mesh { revision: Revision(mesh.revision.0 + 1), ..mesh.clone() };
    let rows = [
        ("another mesh", common::Mesh { id: [9; 16], ..later.clone() }),
        ("another name", common::Mesh { organisation: "other".into(), ..later.clone() }),
        ("another domain", common::Mesh { domain: "other".parse().unwrap(), ..later.clone() }),
        ("the same revision", mesh.clone()),
        ("an earlier revision", common::Mesh { revision: Revision(1), ..mesh.clone() }),
    ];
    for (what, after) in rows {
        assert!(MeshDelta::between(&before, &after.build().unwrap()).unwrap().is_none(), "{what}");
    }
    let delta = between(&before, &later.build().unwrap());
    assert!(MeshDelta::compose([&delta, &delta]).unwrap().is_none(), "they do not follow each other");
    assert!(MeshDelta::compose([]).unwrap().is_none());
}

/// A server with a key and a name of its own, at an address that the example leaves free.
fn one_of_many(number: u32) -> PeerEntry {
    PeerEntry {
        public_key: PublicKey::from_bytes(std::array::from_fn(|at| (number + 1_000).to_le_bytes()[at % 4])).unwrap(),
        endpoint: None,
        address: address(number + 10),
        name: label(&format!("s{number}")),
        key_generation: servos_mesh::KeyGeneration::FIRST,
        since: example().revision,
    }
}

fn states(history: &History) -> Vec<Arc<MeshState>> {
    history.states.iter().map(|state| Arc::new(state.build())).collect()
}

fn between(before: &MeshState, after: &MeshState) -> MeshDelta {
    MeshDelta::between(before, after).unwrap().unwrap()
}

/// As it arrives.
fn read_back(delta: &MeshDelta) -> MeshDelta {
    MeshDelta::parse(delta.body().clone()).unwrap()
}

/// What a record says, wherever its name stands.
type Seen = (MeshAddress, PublicKey, Option<SocketAddr>, u32, String);

fn seen(table: &PeerTable, record: &PeerRecord) -> Seen {
    let name = table.name_of(record).to_owned();
    (record.address(), *record.public_key(), record.endpoint(), record.since(), name)
}

/// Asks both everything.
fn assert_agree(table: &PeerTable, whole: &PeerTable) {
    let ask = |question: &dyn Fn(&PeerTable) -> String| {
        let (found, expected) = (question(table), question(whole));
        assert_eq!(found, expected);
    };
    ask(&|table| format!("{} {:?} {}", table.revision(), table.mesh(), table.organisation()));
    ask(&|table| format!("{} {} {}", table.domain(), table.len(), table.is_empty()));
    ask(&|table| format!("{:?}", table.own().map(|own| seen(table, own))));
    ask(&|table| format!("{:?}", table.peers().map(|peer| seen(table, peer)).collect::<Vec<_>>()));
    ask(&|table| format!("{:?}", table.skipped().collect::<Vec<_>>()));
    for at in POOL.iter().flat_map(|at| [*at, at ^ 1]).chain([0, (1 << 22) - 1]).map(address) {
        ask(&|table| format!("{:?}", table.peer_by_address(at).map(|peer| seen(table, peer))));
        ask(&|table| format!("{:?}", table.server_by_address(at).map(|server| seen(table, server))));
        ask(&|table| format!("{}", table.is_hosting(at)));
    }
    for number in 1..8 {
        ask(&|table| format!("{:?}", table.peer_by_key(&key(number)).map(|peer| seen(table, peer))));
    }
    for name in ["a", "b", "c", "d", "e", ""] {
        ask(&|table| format!("{:?}", table.server_by_name(name).map(|server| seen(table, server))));
    }
    ask(&|table| format!("{:?}", table.services()));
    ask(&|table| format!("{:?}", table.local_services().collect::<Vec<_>>()));
    for name in whole.services().iter().map(|service| service.name.as_str()).chain(["zz"]) {
        ask(&|table| format!("{:?}", table.service(name)));
    }
    for host in whole.services().iter().flat_map(|service| &service.hosts).map(|host| host.as_str()).chain(["d"]) {
        ask(&|table| format!("{:?}", table.service_by_host(host)));
    }
    for instance in table.services().iter().flat_map(|service| &service.instances) {
        assert!(table.server_by_address(instance.server()).is_some());
    }
}

/// Addresses of which the tables say different things.
fn differences(one: &PeerTable, other: &PeerTable) -> BTreeSet<MeshAddress> {
    let say = |table: &PeerTable, at| {
        (table.peer_by_address(at).is_some(), table.server_by_address(at).map(|record| seen(table, record)))
    };
    POOL.map(address).into_iter().filter(|&at| say(one, at) != say(other, at)).collect()
}

/// A rotation changes whose key is this server's own.
#[test]
fn a_table_is_written_out_for_the_key_that_this_server_has_since() {
    let mut mesh = example();
    let before = Own { address: address(2), public_key: key(2) };
    let after = Own { public_key: key(77), ..before };
    let first = mesh.build().unwrap();
    mesh.revision.0 += 1;
    mesh.peers[0].public_key = key(2);
    mesh.peers[1].public_key = key(77);
    mesh.peers[2].public_key = key(77);
    let last = Arc::new(mesh.build().unwrap());
    let delta = between(&first, &last);
    let table = PeerTable::new(Arc::new(first), Some(before)).apply(&delta).unwrap();
    let skipped = |table: &PeerTable| table.skipped().map(|skipped| skipped.address).collect::<Vec<_>>();
    assert_eq!((table.made_for(), skipped(&table)), (Some(before), vec![address(1)]));

    let rotated = table.compact(Some(after)).unwrap();

    assert_agree(&rotated, &PeerTable::new(last, Some(after)));
    assert_eq!((rotated.made_for(), skipped(&rotated)), (Some(after), vec![address(0x3f_fffe)]));
    assert!(rotated.changes_since(&table).is_none(), "no delta named who is something else");
    assert_eq!(table.compact(Some(before)).unwrap().changes_since(&table).unwrap().count(), 0);
}

/// That this server's own record changes, goes and comes back is among the histories.
#[test]
fn own_may_change_go_and_come_back() {
    let mesh = example();
    let own = Own { address: address(2), public_key: key(2) };
    let mut revisions = vec![mesh.clone()];
    let mut next = |change: &dyn Fn(&mut common::Mesh)| {
        let mut mesh = revisions.last().unwrap().clone();
        mesh.revision.0 += 1;
        change(&mut mesh);
        revisions.push(mesh);
    };
    next(&|mesh| mesh.peers[1].public_key = key(77));
    next(&|mesh| {
        mesh.services.pop();
        mesh.peers.remove(1);
    });
    next(&|mesh| mesh.peers[0].public_key = key(2));
    next(&|mesh| mesh.peers.insert(1, example().peers[1].clone()));
    let mut table = PeerTable::new(Arc::new(mesh.build().unwrap()), Some(own));
    for pair in revisions.windows(2) {
        let (before, after) = (pair[0].build().unwrap(), pair[1].build().unwrap());
        table = table.apply(&between(&before, &after)).unwrap();
        assert_agree(&table, &PeerTable::new(Arc::new(after), Some(own)));
    }
    assert_eq!(table.own().unwrap().address(), address(2));
    assert_eq!(table.skipped().count(), 1, "web-1 has this server's key");
}
