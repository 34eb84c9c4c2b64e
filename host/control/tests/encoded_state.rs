//! What is remembered of the way to a revision, and for how many askers it is put together.

#![cfg(test)]

use servos_control::live::{Bounds, EncodedState};
use servos_mesh::{KeyGeneration, MeshAddress, MeshDelta, MeshState, MeshStateBuilder, PeerEntry, PublicKey, Revision};

/// Twenty servers, the first of which is elsewhere in each revision.
fn state(revision: u16) -> MeshState {
    let domain = "mesh.internal".parse().unwrap();
    let mut builder = MeshStateBuilder::new([1; 16], "acme", domain, Revision(revision.into()));
    for number in 1..=20 {
        builder.peer(PeerEntry {
            public_key: PublicKey::from_bytes([number; 32]).unwrap(),
            key_generation: KeyGeneration::FIRST,
            endpoint: (number == 1).then(|| ([192, 0, 2, 1], revision).into()),
            address: MeshAddress::from_index(number.into()).unwrap(),
            name: format!("s{number}").parse().unwrap(),
            since: Revision(1),
        });
    }
    builder.build().unwrap()
}

/// Bytes of the step from one revision to the next: all are of one length.
fn step() -> usize {
    MeshDelta::between(&state(1), &state(2)).unwrap().unwrap().body().len()
}

/// Encodes the revisions 1 to `last`, one after the other.
fn encoded(last: u16, bounds: Bounds) -> EncodedState {
    (2..=last).fold(EncodedState::first(state(1), bounds), |before, revision| before.next(state(revision)))
}

fn remembered(encoded: &EncodedState) -> Vec<u64> {
    (0..=encoded.revision.0 + 1).filter(|&base| encoded.is_remembered(Revision(base))).collect()
}

#[test]
fn as_many_steps_are_remembered_as_the_bounds_allow() {
    let with = |steps, bytes| remembered(&encoded(7, Bounds { steps, bytes, ..Bounds::default() }));
    assert_eq!(remembered(&encoded(7, Bounds::default())), [1, 2, 3, 4, 5, 6]);
    assert_eq!(with(3, usize::MAX), [4, 5, 6]);
    assert_eq!(with(usize::MAX, 2 * step()), [5, 6]);
    assert_eq!(with(usize::MAX, 2 * step() - 1), [6]);
    assert_eq!(with(usize::MAX, step() - 1), [0; 0], "one change that is more than all that is remembered");
    assert_eq!(with(0, usize::MAX), [0; 0]);
}

#[tokio::test]
async fn what_led_from_a_remembered_revision_is_told_and_no_more() {
    let encoded = encoded(7, Bounds { steps: 3, ..Bounds::default() });
    for base in 4..7 {
        let delta = MeshDelta::parse(encoded.delta_from(Revision(base.into())).await.unwrap()).unwrap();
        assert_eq!((delta.base(), delta.revision()), (Revision(base.into()), Revision(7)));
        assert_eq!(delta.peers(), MeshDelta::between(&state(base), &state(7)).unwrap().unwrap().peers());
    }
    for base in [3, 7, 8] {
        assert!(encoded.delta_from(Revision(base)).await.is_none(), "{base}");
    }
}

#[tokio::test]
async fn a_delta_over_several_steps_is_made_once_while_there_is_room() {
    let with_room = |composed_bytes| encoded(5, Bounds { composed_bytes, ..Bounds::default() });
    // The same server changed in each step: what is composed is as long as one.
    for (room, kept) in [(2 * step(), [true, true]), (2 * step() - 1, [true, false]), (0, [false, false])] {
        let encoded = with_room(room);
        for (base, kept) in [1, 2].into_iter().zip(kept) {
            let first = encoded.delta_from(Revision(base)).await.unwrap();
            let again = encoded.delta_from(Revision(base)).await.unwrap();
            assert_eq!(first, again);
            assert_eq!(first.as_ptr() == again.as_ptr(), kept, "from {base} with room for {room} bytes");
        }
    }
}
