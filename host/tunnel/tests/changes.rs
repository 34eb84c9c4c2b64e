//! A change of the mesh touches the sessions that it concerns, and no other.

mod support;

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use servos_mesh::{MeshAddress, MeshDelta, PeerTable, Revision};
use servos_tunnel::{Applied, PrivateKey, TunnelEvent};
use support::{Server, World, state};

#[test]
fn a_peer_that_leaves_loses_its_session_at_once() {
    let mut world = World::new(3);
    world.send(0, 1, 1);
    world.send(0, 2, 2);
    world.seconds(1);
    let mut events = world.nodes[0].device.events();
    let kept = world.nodes[0].device.sessions().into_iter().find(|session| session.peer == address(&world, 2).into());
    let stays = world.nodes[2].server.clone();
    let applied = world.apply(0, [&stays]);
    assert_eq!(applied, Applied { ended: 1, untouched: 1, ..Applied::default() });
    assert_eq!(world.nodes[0].device.sessions(), Vec::from_iter(kept), "the other is as it was");
    world.send(0, 1, 3);
    world.send(0, 2, 4);
    world.send(1, 0, 5);
    world.seconds(60);
    assert_eq!(world.nodes[1].marks(), [1]);
    assert_eq!(world.nodes[2].marks(), [2, 4]);
    assert!(world.nodes[0].received.is_empty(), "nor is it let in again");
    assert_eq!(world.nodes[0].device.counters().drops.unknown_address, 1);
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    assert!(told.contains(&TunnelEvent::SessionGone(address(&world, 1))), "{told:?}");
}

#[test]
fn a_changed_key_ends_the_session_and_the_next_one_works() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    world.seconds(1);
    let changed = Server { key: PrivateKey::generate(), ..world.nodes[1].server.clone() };
    assert_eq!(world.apply(0, [&changed]).ended, 1);
    world.send(0, 1, 2);
    world.seconds(10);
    assert_eq!(world.nodes[1].marks(), [1], "it does not hold the new key");
    let original = world.nodes[1].server.clone();
    world.apply(0, [&original]);
    world.send(0, 1, 3);
    world.seconds(10);
    assert_eq!(world.nodes[1].marks(), [1, 3]);
}

#[test]
fn held_packets_of_a_peer_that_leaves_are_given_up() {
    let mut world = World::new(2);
    world.weather.loss = 1.0;
    world.send(0, 1, 1);
    world.apply(0, []);
    let counters = world.nodes[0].device.counters();
    assert_eq!((counters.held_packets, counters.drops.held_expired, counters.sessions), (0, 1, 0));
    world.seconds(400);
    assert_eq!(world.nodes[0].device.counters().initiations_sent, 1);
}

#[test]
fn changes_under_a_stream_lose_nothing_and_look_at_sessions_only() {
    let mut world = World::new(2);
    let peer = world.nodes[1].server.clone();
    let others: Vec<Server> = (10..60).map(Server::new).collect();
    let mut marks = Vec::new();
    for mark in 0..400 {
        let known = others.iter().take((mark % 50) as usize).chain([&peer]);
        world.apply(0, known.collect::<Vec<_>>());
        world.send(0, 1, mark);
        world.run(Duration::from_millis(5));
        marks.push(mark);
    }
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), marks);
    let counters = world.nodes[0].device.counters();
    assert_eq!((counters.handshakes, counters.sessions_made), (1, 1));
    assert!(counters.sessions_visited <= 400, "one session, 400 changes: {}", counters.sessions_visited);
}

#[test]
fn the_endpoint_roams_and_an_unchanged_record_does_not_call_it_back() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    world.seconds(1);
    let moved: SocketAddr = "198.51.100.7:4000".parse().unwrap();
    world.nodes[1].at = moved;
    world.send(1, 0, 2);
    world.seconds(1);
    assert_eq!(world.nodes[0].device.sessions()[0].endpoint, Some(moved));
    let (peer, joined) = (world.nodes[1].server.clone(), Server::new(9));
    assert_eq!(world.apply(0, [&peer, &joined]), Applied { untouched: 1, ..Applied::default() });
    world.send(0, 1, 3);
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), [1, 3]);
}

#[test]
fn a_changed_endpoint_is_taken_unless_a_fresher_roamed_one_stands() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    world.seconds(1);
    let told: SocketAddr = "198.51.100.8:5000".parse().unwrap();
    let changed = Server { endpoint: Some(told), ..world.nodes[1].server.clone() };
    let roamed: SocketAddr = "198.51.100.9:6000".parse().unwrap();
    world.nodes[1].at = roamed;
    world.send(1, 0, 2);
    world.seconds(1);
    assert_eq!(world.apply(0, [&changed]).endpoints, 0, "just heard from where it roamed to");
    assert_eq!(world.nodes[0].device.sessions()[0].endpoint, Some(roamed));
    let original = world.nodes[1].server.clone();
    world.apply(0, [&original]);
    world.seconds(40);
    assert_eq!(world.apply(0, [&changed]).endpoints, 1, "not heard from for long");
    world.nodes[1].at = told;
    world.send(0, 1, 3);
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), [1, 3]);
}

#[test]
fn a_peer_that_roamed_and_came_back_is_found_at_its_record() {
    let mut world = World::new(2);
    let home = world.nodes[1].at;
    world.send(0, 1, 1);
    world.seconds(1);
    world.nodes[1].at = "198.51.100.7:4000".parse().unwrap();
    world.send(1, 0, 2);
    world.seconds(1);
    world.nodes[1].at = home;
    world.seconds(200);
    world.send(0, 1, 3);
    world.seconds(20);
    assert_eq!(world.nodes[1].marks(), [1, 3]);
}

#[test]
fn two_addresses_in_one_mesh_are_two_sessions() {
    let mut world = World::new(6);
    for to in 1..6 {
        world.send(0, to, to as u32);
    }
    world.seconds(1);
    for to in 1..6 {
        assert_eq!(world.nodes[to].marks(), [to as u32]);
        world.send(to, 0, 10 + to as u32);
    }
    world.seconds(1);
    assert_eq!(world.nodes[0].marks(), [11, 12, 13, 14, 15]);
    assert_eq!(world.nodes[0].device.sessions().len(), 5);
}

/// The same changes as deltas: the same comes of them, and only the sessions of changed peers are looked at.
#[test]
fn a_delta_visits_the_sessions_of_changed_peers_alone() {
    let mut world = World::new(6);
    let servers: Vec<Server> = world.nodes[1..].iter().map(|node| node.server.clone()).collect();
    let first = state(&servers, Revision(1));
    let table = Arc::new(PeerTable::new(Arc::new(state(&servers, Revision(1))), None));
    world.nodes[0].device.apply(world.now, table.clone());
    for to in 1..6 {
        world.send(0, to, to as u32);
    }
    world.seconds(1);
    let visited = |world: &World| world.nodes[0].device.counters().sessions_visited;
    let before = visited(&world);

    let mut changed = servers.clone();
    changed[0].endpoint = Some("203.0.113.1:1".parse().unwrap());
    changed[1].key = PrivateKey::generate();
    changed.remove(2);
    let second = state(&changed, Revision(2));
    let delta = MeshDelta::between(&first, &second).unwrap().unwrap();
    let next = Arc::new(table.apply(&delta).unwrap());
    let applied = world.nodes[0].device.apply(world.now, next.clone());

    assert_eq!((applied.ended, applied.endpoints + applied.untouched), (2, 3));
    assert_eq!(visited(&world) - before, 3, "the other two are not looked at");
    world.seconds(1);
    world.send(0, 3, 33);
    world.send(0, 4, 44);
    world.seconds(1);
    assert_eq!(world.nodes[3].marks(), [3], "it has left");
    assert_eq!(world.nodes[4].marks(), [4, 44]);

    // A peer that nobody talks to costs no visit.
    let before = visited(&world);
    let mut more = changed.clone();
    more.push(Server::new(200));
    let delta = MeshDelta::between(&second, &state(&more, Revision(3))).unwrap().unwrap();
    let applied = world.nodes[0].device.apply(world.now, Arc::new(next.apply(&delta).unwrap()));
    assert_eq!((applied.ended, applied.endpoints, visited(&world)), (0, 0, before));
}

fn address(world: &World, node: usize) -> MeshAddress {
    world.nodes[node].server.address
}
