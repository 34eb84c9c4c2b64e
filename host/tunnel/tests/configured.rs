//! A device that `wg set` configures: keepalives, and what is said of time.

mod support;

use std::time::{Duration, Instant, SystemTime};

use servos_mesh::PublicKey;
use servos_tunnel::device::DatagramBatch;
use servos_tunnel::device::changes::{Changes, PeerChange};
use servos_tunnel::limits::OVERHEAD;
use servos_tunnel::{Device, PrivateKey};
use support::{Datagram, MTU, World, limits, packet_of};
use zeroize::Zeroizing;

/// A world of two, the first of which is configured, with the second as its peer.
fn configured() -> World {
    let mut world = World::new(2);
    world.nodes[0].device = Device::configurable(MTU, limits(), (world.now, SystemTime::now()));
    let mut peer = PeerChange::of(world.nodes[1].server.key.public_key());
    peer.endpoint = Some(world.nodes[1].at);
    peer.allowed_ips = vec![(format!("{}/32", world.nodes[1].server.address).parse().expect("a prefix"), false)];
    let private_key = Some(Some(world.nodes[0].server.key.clone()));
    let sent = configure(&mut world, Changes { private_key, peers: vec![peer], ..Changes::default() });
    assert!(sent.is_empty(), "nobody asked for a packet");
    world
}

/// Makes changes of the first device; what it sends at once is on its way, and comes back.
fn configure(world: &mut World, changes: Changes) -> Vec<Vec<u8>> {
    let mut out = DatagramBatch::default();
    world.nodes[0].device.configure(world.now, &changes, &mut out).expect("a configurable device");
    let sent = out.datagrams().map(|(_, bytes)| bytes.to_vec()).collect();
    world.post(0, &out);
    sent
}

fn keep_alive(world: &mut World, seconds: u64) -> Vec<Vec<u8>> {
    let mut peer = PeerChange::of(world.nodes[1].server.key.public_key());
    peer.keepalive = Some(Duration::from_secs(seconds));
    configure(world, Changes { peers: vec![peer], ..Changes::default() })
}

#[test]
fn keepalives_begin_at_once_come_in_time_and_are_no_packets() {
    let mut world = configured();
    let sent = keep_alive(&mut world, 25);
    assert!(matches!(&sent[..], [message] if message.len() == 148), "without a keypair a handshake, at once");
    world.seconds(1);
    world.send(0, 1, 1);
    world.seconds(1);
    assert!(keep_alive(&mut world, 0).is_empty());
    world.seconds(60);
    world.seen.clear();
    let sent = keep_alive(&mut world, 25);
    assert!(matches!(&sent[..], [message] if message.len() == OVERHEAD), "an empty message, at once: {sent:?}");
    assert!(keep_alive(&mut world, 20).is_empty(), "it is switched on already");
    let sent = |world: &World| world.seen.iter().filter(|seen| seen.from == world.nodes[0].at).count();
    world.seconds(19);
    assert_eq!(sent(&world), 1);
    world.seconds(2);
    assert_eq!(sent(&world), 2, "nothing passed for 20 s");
    world.seconds(60);
    assert_eq!(sent(&world), 5);
    assert!(keep_alive(&mut world, 0).is_empty());
    world.seconds(100);
    assert_eq!(sent(&world), 5);
    assert!(world.seen.iter().all(|seen| seen.bytes.len() == OVERHEAD));
    // What is empty is not handed to the interface, nor counted as a packet.
    assert_eq!(world.nodes[1].marks(), [1]);
    assert_eq!(world.nodes[1].device.counters().rx_packets, 1);
    assert_eq!(world.nodes[1].device.counters().drops.no_ip_inside, 0);
}

#[test]
fn a_session_that_rests_waits_for_nothing_and_is_there() {
    let mut world = configured();
    for mark in 0..3 {
        world.send(0, 1, mark);
        world.seconds(1_000);
        assert_eq!(world.nodes[0].device.poll_timeout(), None, "nothing is left in the queue, however late");
        assert_eq!(world.nodes[0].device.sessions().len(), 1);
    }
    assert_eq!(world.nodes[1].marks(), [0, 1, 2]);
}

#[test]
fn packets_put_keepalives_off() {
    let mut world = configured();
    keep_alive(&mut world, 20);
    world.seconds(1);
    let before = world.nodes[0].device.counters().keepalives_sent;
    for mark in 0..10 {
        world.send(0, 1, mark);
        world.send(1, 0, mark);
        world.seconds(9);
    }
    assert_eq!(world.nodes[0].device.counters().keepalives_sent, before);
}

#[test]
fn a_thread_may_tell_an_earlier_time_than_another_told_before() {
    let mut world = configured();
    keep_alive(&mut world, 10);
    let mut marks = Vec::new();
    for mark in 0..300 {
        // The clock is read before the lock is taken.
        let present = world.now;
        if mark > 0 {
            world.now -= Duration::from_millis(u64::from(mark) % 7 * 400);
        }
        world.send(0, 1, mark);
        world.send(1, 0, mark);
        let mut out = DatagramBatch::default();
        world.nodes[0].device.handle_timeout(world.now, &mut out);
        world.post(0, &out);
        world.now = present;
        world.seconds(3);
        marks.push(mark);
    }
    assert_eq!((world.nodes[0].marks(), world.nodes[1].marks()), (marks.clone(), marks));
}

#[test]
fn a_source_that_is_another_peers_by_a_longer_prefix_is_not_let_in() {
    let mut world = configured();
    world.send(1, 0, 1);
    world.seconds(1);
    let mut other = PeerChange::of(support::Server::new(77).key.public_key());
    other.allowed_ips = vec![(format!("{}/32", world.nodes[1].server.address).parse().unwrap(), false)];
    configure(&mut world, Changes { peers: vec![other], ..Changes::default() });
    world.send(1, 0, 2);
    world.seconds(1);
    assert_eq!(world.nodes[0].marks(), [1]);
    assert_eq!(world.nodes[0].device.counters().drops.spoofed_source, 1);
}

#[test]
fn the_key_that_is_there_already_changes_nothing_and_another_ends_what_was_agreed() {
    let mut world = configured();
    world.send(0, 1, 1);
    world.seconds(1);
    let same = world.nodes[0].server.key.clone();
    configure(&mut world, Changes { private_key: Some(Some(same)), ..Changes::default() });
    world.send(0, 1, 2);
    world.send(1, 0, 3);
    world.seconds(1);
    assert_eq!((world.nodes[1].marks(), world.nodes[0].marks()), (vec![1, 2], vec![3]));
    assert_eq!(world.nodes[0].device.counters().handshakes, 1);

    let another = PrivateKey::generate();
    configure(&mut world, Changes { private_key: Some(Some(another)), ..Changes::default() });
    world.send(1, 0, 4);
    world.seconds(1);
    assert_eq!(world.nodes[0].marks(), [3]);
}

/// As `wg setconf` says it: whole, with the peer in two parts.
#[test]
fn of_a_peer_that_is_replaced_by_itself_what_was_agreed_stays_and_what_is_not_named_goes() {
    let mut world = configured();
    let (key, at) = (world.nodes[1].server.key.public_key(), world.nodes[1].at);
    world.send(0, 1, 1);
    world.seconds(1);
    let other = "198.51.100.0/24".parse().unwrap();
    let mut more = PeerChange::of(key);
    more.preshared = Some(Zeroizing::new([7; 32]));
    more.keepalive = Some(Duration::from_secs(10));
    more.allowed_ips = vec![(other, false)];
    configure(&mut world, Changes { peers: vec![more], ..Changes::default() });

    let own = format!("{}/32", world.nodes[1].server.address).parse().unwrap();
    let first = PeerChange::of(key);
    let mut second = PeerChange::of(key);
    second.allowed_ips = vec![(own, false)];
    let sent = configure(&mut world, Changes { replace_peers: true, peers: vec![first, second], ..Changes::default() });
    assert!(sent.is_empty());
    let (_, peer, session) = world.nodes[0].device.configured_peers().remove(0);
    assert_eq!((*peer.preshared, peer.keepalive, peer.endpoint), ([0; 32], None, Some(at)));
    assert_eq!(peer.allowed_ips.into_iter().collect::<Vec<_>>(), [own], "the second part adds to the first");
    assert!(session.is_some_and(|session| session.last_handshake.is_some()));

    world.seconds(20);
    world.seen.clear();
    world.seconds(60);
    assert!(world.seen.is_empty(), "no keepalives");
    world.send(0, 1, 2);
    world.seconds(1);
    assert_eq!(world.nodes[0].device.counters().handshakes, 1);
    // The next handshake, too, is without the pre-shared key.
    world.seconds(300);
    world.send(0, 1, 3);
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), [1, 2, 3]);

    configure(&mut world, Changes { replace_peers: true, peers: vec![PeerChange::of(key)], ..Changes::default() });
    let (_, peer, _) = world.nodes[0].device.configured_peers().remove(0);
    assert_eq!((peer.endpoint, peer.allowed_ips.len()), (Some(at), 0));
}

/// As for the kernel, whose own tests configure such peers.
#[test]
fn a_peer_whose_key_is_a_point_of_small_order_is_there_and_is_sent_nothing() {
    let mut world = configured();
    let mut one = [0; 32];
    one[0] = 1;
    let mut peer = PeerChange::of(PublicKey::from_any_bytes(one).unwrap());
    peer.endpoint = Some(world.nodes[1].at);
    peer.keepalive = Some(Duration::from_secs(1));
    peer.allowed_ips = vec![("198.51.100.0/24".parse().unwrap(), false)];
    assert!(configure(&mut world, Changes { peers: vec![peer], ..Changes::default() }).is_empty());
    assert_eq!(world.nodes[0].device.configured_peers().len(), 2);
    let packet = packet_of(world.nodes[0].server.address.ipv4(), "198.51.100.1".parse().unwrap(), 1, 100);
    let started = Instant::now();
    for _ in 0..100_000 {
        world.send_packet(0, packet.clone());
        world.run(Duration::from_millis(1));
    }
    // A curve for each takes three times as long, a packet a hundredth of a curve.
    assert!(started.elapsed() < Duration::from_secs(4), "{:?}", started.elapsed());
    let counters = world.nodes[0].device.counters();
    assert_eq!((counters.initiations_sent, counters.held_packets, counters.drops.held_expired), (0, 0, 100_000));
    assert!(world.seen.is_empty());
}

#[test]
fn without_a_key_nothing_is_sent_or_answered() {
    let mut world = World::new(2);
    world.nodes[0].device = Device::configurable(MTU, limits(), (world.now, SystemTime::now()));
    let mut peer = PeerChange::of(world.nodes[1].server.key.public_key());
    peer.endpoint = Some(world.nodes[1].at);
    peer.keepalive = Some(Duration::from_secs(5));
    assert!(configure(&mut world, Changes { peers: vec![peer], ..Changes::default() }).is_empty());
    world.send(1, 0, 1);
    world.seconds(30);
    assert!(world.seen.iter().all(|seen: &Datagram| seen.from == world.nodes[1].at));
}
