//! Any bytes as a delta over a mesh that is known: refused, or a table that answers as that of the whole state does.

#![no_main]

use std::sync::{Arc, LazyLock};

use libfuzzer_sys::fuzz_target;
use servos_mesh::{MeshAddress, MeshDelta, MeshState, PeerRecord, PeerTable};

/// What the golden delta begins at.
static BASE: LazyLock<PeerTable> = LazyLock::new(|| {
    let body = include_bytes!("../../../host/mesh/tests/golden/mesh-state-1.bin");
    PeerTable::new(Arc::new(MeshState::parse(body.to_vec().into()).expect("a state")), None)
});

fuzz_target!(|bytes: &[u8]| {
    let Ok(delta) = MeshDelta::parse(bytes.to_vec().into()) else { return };
    assert_eq!(delta.body(), bytes);
    let Ok(table) = BASE.apply(&delta) else { return };
    assert_eq!(table.revision(), delta.revision());
    // Indexed whole, after it was written out and read.
    let whole = table.compact(None).expect("a few servers fit");
    let said = |table: &PeerTable, record: &PeerRecord| {
        let key = (*record.public_key(), record.key_generation());
        (key, record.endpoint(), record.address(), record.since(), table.name_of(record).to_owned())
    };
    let all = |table: &PeerTable| table.peers().map(|record| said(table, record)).collect::<Vec<_>>();
    assert_eq!(all(&table), all(&whole));
    assert_eq!(table.len(), whole.len());
    assert!(table.services().iter().eq(whole.services()));
    assert!(delta.removed_services().all(|name| table.service(name).is_none()));
    for service in BASE.services().iter().chain(delta.services()) {
        let name = service.name.as_str();
        let named = delta.services().iter().find(|named| named.name == service.name);
        let expected = named.or(BASE.service(name)).filter(|_| delta.removed_services().all(|removed| removed != name));
        assert_eq!(table.service(name), expected);
    }
    let touched = delta.removed().chain(delta.peers().iter().map(PeerRecord::address));
    let addresses: Vec<MeshAddress> = touched.chain(BASE.peers().map(PeerRecord::address)).collect();
    for address in addresses {
        let pairs = [PeerTable::peer_by_address, PeerTable::server_by_address];
        for look_up in pairs {
            let (one, other) = (look_up(&table, address), look_up(&whole, address));
            assert_eq!(one.map(|one| said(&table, one)), other.map(|other| said(&whole, other)));
        }
        let Some(record) = table.server_by_address(address) else { continue };
        let by_key = [&table, &whole].map(|table| table.peer_by_key(record.public_key()).map(PeerRecord::address));
        assert_eq!(by_key[0], by_key[1]);
        let name = table.name_of(record);
        let by_name = [&table, &whole].map(|table| table.server_by_name(name).map(PeerRecord::address));
        assert_eq!(by_name[0], by_name[1]);
    }
});
