//! A server's key gives way to the next: nothing that is under way is lost, whoever hears of it first.

mod support;

use std::sync::Arc;
use std::time::Duration;

use servos_mesh::{KeyGeneration, MeshState, PeerTable, Revision};
use servos_tunnel::limits::{IN_USE, Limits, OTHER_KEY_AFTER, REKEY_TIMEOUT, ROTATED_KEY_SPREAD};
use servos_tunnel::{Applied, OwnKeys, PrivateKey};
use support::{Server, World, limits};

/// The server that rotates, and one that follows.
const ROTATING: usize = 0;
const PEER: usize = 1;

impl World {
    /// Packets both ways between the two, and all that comes of it.
    fn stream(&mut self, time: Duration, every: Duration, marks: &mut Vec<u32>) {
        let end = self.now + time;
        while self.now < end {
            let mark = marks.len() as u32;
            marks.push(mark);
            self.send(ROTATING, PEER, mark);
            self.send(PEER, ROTATING, mark);
            self.run(every);
        }
    }

    fn set_keys(&self, present: &Server, other: Option<&Server>) {
        let keys = OwnKeys { present: present.key.clone(), other: other.map(|other| other.key.clone()) };
        self.nodes[ROTATING].device.set_keys(keys);
    }

    fn before_and_next(&self) -> (Server, Server) {
        let before = self.nodes[ROTATING].server.clone();
        let next = before.rotated();
        (before, next)
    }

    /// Each got every mark once and in order.
    fn assert_received(&mut self, marks: &[u32]) {
        self.seconds(1);
        for node in [ROTATING, PEER] {
            let received = self.nodes[node].marks();
            let at = received.iter().zip(marks).position(|(one, other)| one != other);
            let around = at.map(|at| &received[at.saturating_sub(3)..received.len().min(at + 5)]);
            let count = received.len();
            assert!(
                received == marks,
                "node {node}: {count} of {}, lost or doubled at {at:?}: {around:?}",
                marks.len()
            );
            let drops = self.nodes[node].device.counters().drops;
            assert_eq!((drops.held_expired, drops.held_overflow), (0, 0), "{drops:?}");
        }
    }

    fn handshakes(&self) -> u64 {
        self.nodes[PEER].device.counters().handshakes
    }
}

const MS: Duration = Duration::from_millis(1);

#[test]
fn a_stream_goes_on_while_the_key_changes_and_long_after() {
    let mut world = World::new(2);
    let (before, next) = world.before_and_next();
    let mut marks = Vec::new();
    world.stream(Duration::from_secs(2), MS, &mut marks);
    world.set_keys(&before, Some(&next));
    world.stream(Duration::from_secs(1), MS, &mut marks);
    assert_eq!(world.apply(PEER, [&next]), Applied { rotated: 1, ..Applied::default() });
    let agreed = world.handshakes();
    world.stream(Duration::from_millis(300), MS, &mut marks);
    world.set_keys(&next, Some(&before));
    world.stream(ROTATED_KEY_SPREAD, MS, &mut marks);
    assert_eq!(world.handshakes(), agreed + 1, "one handshake under the next key, soon");
    assert_eq!(world.nodes[PEER].device.sessions()[0].public_key, next.key.public_key());
    assert_eq!(world.nodes[ROTATING].device.private_key().unwrap().public_key(), next.key.public_key());
    world.set_keys(&next, None);
    // Several keypairs long.
    world.stream(Duration::from_secs(600), 20 * MS, &mut marks);
    world.assert_received(&marks);
    let sessions = world.nodes.iter().map(|node| node.device.counters().sessions_made).max();
    assert_eq!(sessions, Some(1), "the session from before the rotation");
    let drops = world.nodes[PEER].device.counters().drops;
    assert_eq!(drops.unknown_key, 0, "each asked under a key that the other knew: {drops:?}");
}

#[test]
fn a_peer_that_hears_of_it_hours_later_loses_nothing() {
    let mut world = World::new(2);
    let (before, next) = world.before_and_next();
    let mut marks = Vec::new();
    world.stream(Duration::from_secs(1), MS, &mut marks);
    world.set_keys(&next, Some(&before));
    // Keypairs come and go meanwhile, begun by either side.
    world.stream(Duration::from_secs(7_200), 50 * MS, &mut marks);
    assert_eq!(world.nodes[PEER].device.sessions()[0].public_key, before.key.public_key());
    assert_eq!(world.apply(PEER, [&next]).rotated, 1);
    world.stream(ROTATED_KEY_SPREAD, MS, &mut marks);
    world.set_keys(&next, None);
    world.stream(Duration::from_secs(400), 20 * MS, &mut marks);
    world.assert_received(&marks);
}

#[test]
fn both_rotate_at_once() {
    let mut world = World::new(2);
    let servers = [world.nodes[0].server.clone(), world.nodes[1].server.clone()];
    let next = [servers[0].rotated(), servers[1].rotated()];
    let mut marks = Vec::new();
    world.stream(Duration::from_secs(1), MS, &mut marks);
    let keys =
        |present: &Server, other: &Server| OwnKeys { present: present.key.clone(), other: Some(other.key.clone()) };
    for node in 0..2 {
        world.nodes[node].device.set_keys(keys(&servers[node], &next[node]));
    }
    for node in 0..2 {
        world.apply(node, [&next[1 - node]]);
        world.stream(Duration::from_secs(1), MS, &mut marks);
        world.nodes[node].device.set_keys(keys(&next[node], &servers[node]));
    }
    world.stream(ROTATED_KEY_SPREAD, MS, &mut marks);
    for (node, next) in world.nodes.iter().zip(&next) {
        node.device.set_keys(next.key.clone().into());
    }
    world.stream(Duration::from_secs(400), 20 * MS, &mut marks);
    world.assert_received(&marks);
}

#[test]
fn what_waits_for_a_handshake_arrives_when_the_key_changes_under_it() {
    let mut world = World::new(2);
    let (before, next) = world.before_and_next();
    world.set_keys(&before, Some(&next));
    for mark in 0..20 {
        world.send(PEER, ROTATING, mark);
    }
    // The initiation to the key before is under way.
    assert_eq!(world.apply(PEER, [&next]).rotated, 1);
    world.set_keys(&next, Some(&before));
    world.run(100 * MS);
    assert_eq!(world.nodes[ROTATING].marks(), Vec::from_iter(0..20));
}

#[test]
fn a_peer_that_follows_first_is_answered_under_the_next_key_and_reached_in_a_second() {
    let mut world = World::new(2);
    let (before, next) = world.before_and_next();
    world.set_keys(&before, Some(&next));
    world.apply(PEER, [&next]);
    world.send(PEER, ROTATING, 1);
    world.run(100 * MS);
    assert_eq!(world.nodes[ROTATING].marks(), [1]);

    let mut world = World::new(2);
    let (before, next) = world.before_and_next();
    world.set_keys(&before, Some(&next));
    world.apply(PEER, [&next]);
    world.send(ROTATING, PEER, 2);
    world.run(OTHER_KEY_AFTER + REKEY_TIMEOUT / 10);
    assert_eq!(world.nodes[PEER].marks(), [2], "the key before is unknown to the peer, the next is tried");
}

#[test]
fn a_peer_that_lags_is_answered_and_reached_under_the_key_before_until_the_transition_ends() {
    let fresh = || {
        let world = World::new(2);
        let (before, next) = world.before_and_next();
        world.set_keys(&next, Some(&before));
        (world, next)
    };
    let (mut world, _) = fresh();
    world.send(PEER, ROTATING, 1);
    world.run(100 * MS);
    assert_eq!(world.nodes[ROTATING].marks(), [1], "its initiation to the key before is answered");

    let (mut world, _) = fresh();
    world.send(ROTATING, PEER, 2);
    world.run(OTHER_KEY_AFTER + REKEY_TIMEOUT / 10);
    assert_eq!(world.nodes[PEER].marks(), [2], "ours under the next is refused, under the one before taken");

    let (mut world, next) = fresh();
    world.set_keys(&next, None);
    world.send(PEER, ROTATING, 3);
    world.send(ROTATING, PEER, 4);
    world.seconds(10);
    assert!(world.nodes[ROTATING].marks().is_empty() && world.nodes[PEER].marks().is_empty());
    assert!(world.nodes[ROTATING].device.counters().drops.invalid_mac > 0, "the key before is nobody's");
    // Once it has heard of it, what it held arrives.
    world.apply(PEER, [&next]);
    world.seconds(10);
    assert_eq!((world.nodes[ROTATING].marks(), world.nodes[PEER].marks()), (vec![3], vec![4]));
}

#[test]
fn under_load_both_keys_ask_for_cookies_that_their_peers_can_read() {
    let mut world = World::with_limits(3, Limits { handshakes_a_second: 0, ..limits() });
    let (before, next) = world.before_and_next();
    world.set_keys(&next, Some(&before));
    let follower = 2;
    world.apply(follower, [&next]);
    world.send(PEER, ROTATING, 1);
    world.send(follower, ROTATING, 2);
    world.seconds(12);
    let mut marks = world.nodes[ROTATING].marks();
    marks.sort_unstable();
    assert_eq!(marks, [1, 2]);
    assert_eq!(world.nodes[ROTATING].device.counters().cookies_sent, 2);
}

#[test]
fn another_server_at_the_address_ends_the_session_at_once() {
    let server = World::new(2).nodes[ROTATING].server.clone();
    let key = PrivateKey::generate();
    let following = server.generation.after_rotation();
    let others = [
        (
            "the next owner",
            Server { key: key.clone(), generation: server.generation.of_next_owner(), ..server.clone() },
        ),
        (
            "another name",
            Server { key: key.clone(), generation: following, name: Some("other".into()), ..server.clone() },
        ),
        ("no rotation", Server { key: key.clone(), ..server.clone() }),
        ("long ago", Server { key, generation: KeyGeneration::from_number(200), ..server }),
    ];
    for (what, other) in others {
        let mut world = World::new(2);
        world.send(PEER, ROTATING, 1);
        world.seconds(1);
        world.send(PEER, ROTATING, 2);
        let applied = world.apply(PEER, [&other]);
        assert_eq!(applied, Applied { ended: 1, ..Applied::default() }, "{what}");
        world.send(ROTATING, PEER, 3);
        world.send(PEER, ROTATING, 4);
        world.seconds(30);
        assert_eq!(world.nodes[ROTATING].marks(), [1, 2], "{what}: it is not handed what is the other's");
        assert!(world.nodes[PEER].marks().is_empty(), "{what}: nor heard any more");
    }
}

#[test]
fn a_rotation_to_a_point_of_small_order_ends_the_session_and_nothing_stands_still() {
    let mut world = World::new(2);
    let (_, next) = world.before_and_next();
    world.weather.loss = 1.0;
    world.send(PEER, ROTATING, 1);
    let state = support::state([&next], Revision(2));
    let mut body = state.body().to_vec();
    let key = next.key.public_key();
    let at = body.windows(32).position(|bytes| bytes == key.as_bytes()).unwrap();
    body[at..at + 32].fill(0);
    body[at] = 1;
    let table = PeerTable::new(Arc::new(MeshState::parse(body.into()).unwrap()), None);
    assert_eq!(world.nodes[PEER].device.apply(world.now, Arc::new(table)).ended, 1);
    world.send(PEER, ROTATING, 2);
    world.seconds(10);
    let counters = world.nodes[PEER].device.counters();
    assert_eq!((counters.initiations_sent, counters.held_packets, counters.sessions), (1, 0, 0));
}

#[test]
fn several_rotations_that_a_peer_missed_are_one_to_it() {
    let mut world = World::new(2);
    let mut marks = Vec::new();
    world.stream(Duration::from_secs(1), MS, &mut marks);
    let (before, next) = world.before_and_next();
    let third = next.rotated().rotated();
    world.set_keys(&third, Some(&before));
    assert_eq!(world.apply(PEER, [&third]).rotated, 1);
    world.stream(ROTATED_KEY_SPREAD, MS, &mut marks);
    world.assert_received(&marks);
}

#[test]
fn sessions_at_rest_do_not_stir_and_those_in_use_do_not_begin_together() {
    let (in_use, resting) = (1..25, 25);
    let mut world = World::new(26);
    let (before, next) = world.before_and_next();
    world.send(resting, ROTATING, 1);
    world.seconds(IN_USE.as_secs() + 20);
    for peer in in_use.clone() {
        world.send(peer, ROTATING, 1);
    }
    world.seconds(1);
    world.set_keys(&before, Some(&next));
    for peer in in_use.clone().chain([resting]) {
        assert_eq!(world.apply(peer, [&next]).rotated, 1);
    }
    world.set_keys(&next, Some(&before));
    let sent = |world: &World, peer: usize| world.nodes[peer].device.counters().initiations_sent;
    let in_all = |world: &World| in_use.clone().map(|peer| sent(world, peer)).sum::<u64>();
    let mut seconds_with_some = 0;
    for _ in 0..ROTATED_KEY_SPREAD.as_secs() {
        let sent_before = in_all(&world);
        for peer in in_use.clone() {
            world.send(peer, ROTATING, 2);
        }
        world.seconds(1);
        seconds_with_some += u32::from(in_all(&world) > sent_before);
    }
    for peer in in_use.clone() {
        assert_eq!(sent(&world, peer), 2, "peer {peer}: the first, and one under the next key");
    }
    assert!(seconds_with_some > 6, "24 begin in {seconds_with_some} different seconds of 30");
    assert_eq!(sent(&world, resting), 1);
}
