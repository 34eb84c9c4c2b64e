//! Parsing is total: whatever the bytes, an error or a state that can be used; and no length buys memory.

#![cfg(test)]

mod common;

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;
use std::sync::Arc;

use common::{any_mesh, every_byte_may_be_anything, example};
use proptest::collection::vec;
use proptest::prelude::*;
use proptest::sample::Index;
use servos_mesh::{FORMAT, MeshAddress, MeshDelta, MeshState, Own, PeerEntry, PeerTable, PublicKey, WireError, limits};

proptest! {
    #[test]
    fn any_bytes(bytes in vec(any::<u8>(), 0..600)) {
        use_if_it_parses(&bytes);
    }

    #[test]
    fn any_bytes_behind_a_format_number(bytes in vec(any::<u8>(), 0..600)) {
        use_if_it_parses(&[&FORMAT.to_le_bytes()[..], &bytes].concat());
    }

    #[test]
    fn any_valid_body_with_some_bytes_changed(
        mesh in any_mesh(),
        changes in vec((any::<Index>(), any::<u8>()), 1..5)) {
        let mut body = mesh.build().unwrap().body().to_vec();
        for (at, value) in changes {
            let at = at.index(body.len());
            body[at] = value;
        }
        use_if_it_parses(&body);
    }
}

#[test]
fn every_truncation_is_refused() {
    let body = example().build().unwrap().body().clone();

    for length in 0..body.len() {
        assert!(MeshState::parse(body.slice(..length)).is_err(), "the first {length} of {} bytes parsed", body.len());
    }
}

#[test]
fn every_value_of_every_byte_is_survived() {
    every_byte_may_be_anything(example().build().unwrap().body(), use_if_it_parses);
}

#[test]
fn what_stands_behind_the_end_is_refused() {
    let mut body = example().build().unwrap().body().to_vec();
    body.push(0);

    assert!(matches!(MeshState::parse(body.into()), Err(WireError::Trailing(1))));
}

#[test]
fn another_format_is_named() {
    for (bytes, format) in [(&b"<!doctype html>"[..], u32::from_le_bytes(*b"<!do")), (&[2, 0, 0, 0], 2)] {
        match MeshState::parse(bytes.to_vec().into()) {
            Err(WireError::Format { found, expected }) => assert_eq!((found, expected), (format, FORMAT)),
            other => panic!("{other:?}"),
        }
    }
    assert!(matches!(MeshState::parse(vec![1, 0, 0].into()), Err(WireError::Truncated)));
}

/// Writes huge numbers over every place of a body, the lengths among them, and counts what parsing takes.
#[test]
fn no_length_takes_more_memory_than_the_limit_of_one_service() {
    let body = example().build().unwrap().body().to_vec();
    // What is read is held about thrice (text, vectors that grow by doubling); a lying count of hosts or labels may
    // reserve up to the limit of one service, twice.
    let allowed = 2 * limits::MAX_SERVICE_BYTES + 8 * body.len() + 4096;
    let huge = [u64::MAX, 1 << 62, 1 << 40, u64::from(u32::MAX), limits::MAX_STATE_BYTES as u64, 1 << 16, 1 << 12];

    for at in 0..body.len() {
        for number in huge {
            let mut changed = body.clone();
            let width = 8.min(changed.len() - at);
            changed[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
            let bytes = changed.into();

            let before = ALLOCATED.get();
            let parsed = MeshState::parse(bytes);
            let taken = ALLOCATED.get() - before;

            assert!(taken <= allowed, "{number:#x} at byte {at} took {taken} bytes");
            drop(parsed);
        }
    }
}

/// The same for a delta.
#[test]
fn no_length_of_a_delta_takes_more_memory_either() {
    let (before, mut after) = (example(), example());
    after.revision.0 += 1;
    after.peers.remove(1);
    after.peers[0].endpoint = None;
    let delta = MeshDelta::between(&before.build().unwrap(), &after.build().unwrap()).unwrap().unwrap();
    let body = delta.body().to_vec();
    let allowed = 2 * limits::MAX_SERVICE_BYTES + 8 * body.len() + 4096;

    for at in 0..body.len() {
        for number in [u64::MAX, 1 << 40, u64::from(u32::MAX), limits::MAX_DELTA_BYTES as u64, 1 << 16, 1 << 12] {
            let mut changed = body.clone();
            let width = 8.min(changed.len() - at);
            changed[at..at + width].copy_from_slice(&number.to_le_bytes()[..width]);
            let bytes = changed.into();

            let before = ALLOCATED.get();
            let parsed = MeshDelta::parse(bytes);
            let taken = ALLOCATED.get() - before;

            assert!(taken <= allowed, "{number:#x} at byte {at} took {taken} bytes");
            drop(parsed);
        }
    }
}

/// A change costs what changed: the table of a large mesh after it takes no more memory than that of a small one.
#[test]
fn a_change_of_a_large_mesh_takes_as_much_memory_as_of_a_small_one() {
    let taken = |size: u32| {
        let mut mesh = example();
        mesh.services.clear();
        mesh.peers = (1..=size)
            .map(|number| PeerEntry {
                public_key: PublicKey::from_bytes(std::array::from_fn(|at| number.to_le_bytes()[at % 4])).unwrap(),
                endpoint: None,
                address: MeshAddress::from_index(number).unwrap(),
                name: format!("s{number}").parse().unwrap(),
                key_generation: servos_mesh::KeyGeneration::FIRST,
                since: mesh.revision,
            })
            .collect();
        let before = mesh.build().unwrap();
        mesh.revision.0 += 1;
        for peer in &mut mesh.peers[20..30] {
            peer.endpoint = Some("192.0.2.1:51820".parse().unwrap());
        }
        let delta = MeshDelta::between(&before, &mesh.build().unwrap()).unwrap().unwrap();
        let table = PeerTable::new(Arc::new(before), None);
        let before = ALLOCATED.get();
        let next = table.apply(&delta).unwrap();
        let taken = ALLOCATED.get() - before;
        assert_eq!(next.len(), size as usize);
        taken
    };
    let (small, large) = (taken(100), taken(50_000));
    assert!(large < 64 << 10, "{large} bytes for ten peers");
    assert!(large < small * 2, "{large} bytes, {small} in a mesh of 100");
}

/// Calls everything there is to call; returns whether the bytes parsed.
fn use_if_it_parses(bytes: &[u8]) -> bool {
    let Ok(state) = MeshState::parse(bytes.to_vec().into()) else {
        return false;
    };
    let state = Arc::new(state);
    let mut seen = format!("{state:?}{}{}{}", state.organisation(), state.domain(), state.revision());
    for peer in state.peers() {
        seen += &format!("{peer:?}{}{:?}{:?}", peer.address(), peer.endpoint(), peer.since());
        assert!(servos_mesh::DnsLabel::is_valid(state.name_of(peer)));
    }
    for service in state.services() {
        assert!(service.check().is_ok());
    }
    let own = state.peers().first().map(|peer| Own { address: peer.address(), public_key: *peer.public_key() });
    let table = PeerTable::new(state.clone(), own);
    for peer in state.peers() {
        assert_eq!(table.server_by_address(peer.address()), Some(peer));
        seen += &format!("{:?}{:?}", table.peer_by_key(peer.public_key()), table.server_by_name(state.name_of(peer)));
    }
    for instance in state.services().iter().flat_map(|service| &service.instances) {
        seen += &table.server_by_address(instance.server()).unwrap().address().to_string();
    }
    assert_eq!(table.peers().count(), table.len());
    seen += &format!("{:?}{}", table.skipped().collect::<Vec<_>>(), table.local_services().count());
    !seen.is_empty()
}

thread_local! {
    /// Bytes that this thread ever asked for.
    static ALLOCATED: Cell<usize> = const { Cell::new(0) };
}

/// The system's allocator, counting what each thread asks for.
struct Counting;

// SAFETY: every call goes on to the system's allocator unchanged.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        let _ = ALLOCATED.try_with(|count| count.set(count.get() + layout.size()));
        // SAFETY: the caller's promise is passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise is passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static COUNTING: Counting = Counting;
