//! Sessions begin, are renewed and end as WireGuard's paper says, whatever the network does.

mod support;

use std::net::SocketAddr;
use std::time::{Duration, SystemTime};

use blake2::digest::Mac;
use blake2::digest::consts::U16;
use blake2::{Blake2s256, Blake2sMac, Digest as _};
use chacha20poly1305::XChaCha20Poly1305;
use chacha20poly1305::aead::{Aead as _, KeyInit as _, Payload};
use proptest::prelude::*;
use servos_mesh::Link;
use servos_tunnel::device::{Arrived, DatagramBatch, Endpoint};
use servos_tunnel::limits::{
    KEEPALIVE_TIMEOUT, Limits, MIN_MTU, REKEY_JITTER, REKEY_TIMEOUT, SHARED_COOKIES_A_SECOND, SOURCE_COOKIES_A_SECOND,
};
use servos_tunnel::offload::{VirtioHeader, Whole};
use servos_tunnel::{Device, TunnelEvent};
use support::{Datagram, MTU, Server, Weather, World, limits, packet_of, table, tally};

#[test]
fn handshakes_that_cross_again_and_again_lose_nothing_under_way() {
    let mut world = World::new(2);
    let marks = Vec::from_iter(0..60_000);
    for &mark in &marks {
        // At the same moment, so that both sides begin each handshake.
        world.send(0, 1, mark);
        world.send(1, 0, mark);
        world.run(Duration::from_millis(10));
    }
    world.seconds(1);
    assert!(world.nodes[0].device.counters().handshakes > 5, "several keypairs long");
    for node in &world.nodes {
        assert!(node.marks() == marks, "{} of {}", node.marks().len(), marks.len());
    }
}

#[test]
fn what_is_sent_before_the_handshake_arrives_in_order() {
    let mut world = World::new(2);
    for mark in 0..20 {
        world.send(0, 1, mark);
    }
    assert_eq!(world.nodes[0].device.counters().held_packets, 20);
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), (0..20).collect::<Vec<_>>());
    assert_eq!(world.nodes[0].device.counters().held_packets, 0);
    assert_eq!(world.seen.iter().filter(|datagram| datagram.is_initiation()).count(), 1);
}

#[test]
fn both_sides_initiate_at_once() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    world.send(1, 0, 2);
    world.seconds(1);
    assert_eq!((world.nodes[1].marks(), world.nodes[0].marks()), (vec![1], vec![2]));
    world.send(0, 1, 3);
    world.send(1, 0, 4);
    world.seconds(60);
    assert_eq!((world.nodes[1].marks(), world.nodes[0].marks()), (vec![1, 3], vec![2, 4]));
    for node in &world.nodes {
        assert_eq!(node.device.sessions()[0].link, Link::Up);
        assert_eq!(node.device.counters().initiations_sent, 1, "nothing was left to be sent again");
    }
}

#[test]
fn a_lost_initiation_is_sent_again_and_nothing_held_is_lost() {
    let mut world = World::new(2);
    world.weather.loss = 1.0;
    world.send(0, 1, 1);
    world.send(0, 1, 2);
    world.weather.loss = 0.0;
    world.run(Duration::from_millis(4_900));
    assert!(world.nodes[1].received.is_empty());
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), [1, 2]);
}

#[test]
fn a_stream_outlives_many_rekeys_without_a_loss() {
    let mut world = World::new(2);
    let marks: Vec<u32> = (0..900).collect();
    for mark in &marks {
        world.send(0, 1, *mark);
        world.run(Duration::from_millis(500));
        world.send(1, 0, *mark);
        world.run(Duration::from_millis(500));
    }
    assert_eq!(world.nodes[1].marks(), marks);
    assert_eq!(world.nodes[0].marks(), marks);
    let handshakes = world.nodes[0].device.counters().handshakes;
    assert!((7..=9).contains(&handshakes), "one every 120 s, {handshakes} in 900 s");
}

#[test]
fn a_responder_that_alone_sends_survives_the_end_of_the_keypair() {
    let mut world = World::new(2);
    world.send(0, 1, 0);
    world.seconds(1);
    for mark in 1..400 {
        world.send(1, 0, mark);
        world.seconds(1);
    }
    assert_eq!(world.nodes[0].marks(), (1..400).collect::<Vec<_>>());
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn bad_weather_makes_nothing_up_and_good_weather_heals(
        seed: u64, loss in 0.0..0.4_f64, doubling in 0.0..0.3_f64, jitter in 0_u64..2_000,
    ) {
        let mut world = World::new(3);
        world.seed(seed);
        world.weather = Weather { jitter: Duration::from_millis(jitter), loss, doubling, ..Weather::default() };
        for mark in 0..150 {
            for (from, to) in [(0, 1), (1, 0), (2, 0)] {
                world.send(from, to, mark * 10 + from as u32);
            }
            world.run(Duration::from_millis(1_300));
        }
        for (at, node) in world.nodes.iter().enumerate() {
            for (mark, times) in tally(&node.marks()) {
                prop_assert_eq!(times, 1, "a packet is never doubled");
                prop_assert!(mark < 1_500 && mark % 10 != at as u32, "{} was never sent to {}", mark, at);
            }
        }
        world.weather = Weather::default();
        world.seconds(200);
        let before: Vec<usize> = world.nodes.iter().map(|node| node.received.len()).collect();
        for mark in 0..20 {
            for (from, to) in [(0, 1), (1, 0), (2, 0)] {
                world.send(from, to, 100_000 + mark * 10 + from as u32);
            }
            world.seconds(1);
        }
        world.seconds(10);
        prop_assert_eq!(world.nodes[1].received.len() - before[1], 20);
        prop_assert_eq!(world.nodes[0].received.len() - before[0], 40);
        for node in &world.nodes {
            prop_assert_eq!(node.device.counters().held_packets, 0);
        }
    }
}

#[test]
fn a_cookie_is_asked_for_under_load_and_opens_the_door() {
    let mut world = World::with_limits(2, Limits { handshakes_a_second: 0, ..limits() });
    world.send(0, 1, 5);
    world.seconds(1);
    assert_eq!(world.nodes[1].device.counters().cookies_sent, 1);
    assert!(world.nodes[1].device.sessions().is_empty(), "no session without a cookie");
    world.seconds(6);
    assert_eq!(world.nodes[1].marks(), [5]);
}

#[test]
fn a_flood_is_refused_before_it_is_handed_on_and_whoever_has_a_cookie_gets_through() {
    // Longer than an initiation waits for its answer.
    const SECONDS: usize = 8;
    const A_SECOND: usize = 6_000;
    let mut world = World::with_limits(2, Limits { handshakes_a_second: 10, ..limits() });
    world.send(0, 1, 1);
    let initiation = world.seen[0].clone();
    // From elsewhere.
    let flood = Endpoint::received(SocketAddr::from(([198, 51, 100, 9], 1_234)), None);
    let mut handed_on = 0;
    for second in 0..SECONDS {
        for _ in 0..A_SECOND {
            let (mut arrived, mut out) = (Arrived::default(), DatagramBatch::default());
            let (device, mut bytes) = (&world.nodes[1].device, initiation.bytes.clone());
            device.handle_datagrams(world.now, flood, &mut bytes, 148, 0, &mut arrived, &mut out);
            for message in &arrived.handshakes {
                device.handle_handshake(world.now, message, &mut out);
            }
            handed_on += arrived.handshakes.len();
        }
        if second == SECONDS - 1 {
            world.send(0, 1, 2);
        }
        world.run(Duration::from_millis(1_000));
    }
    assert_eq!(world.nodes[1].marks(), [1, 2]);
    let cookies = usize::from(SOURCE_COOKIES_A_SECOND) + usize::from(SHARED_COOKIES_A_SECOND);
    let most = 10 + SECONDS * cookies;
    assert!((100..=most).contains(&handed_on), "{handed_on} of {}", SECONDS * A_SECOND);
    let counters = world.nodes[1].device.counters();
    assert!(counters.drops.too_many_handshakes >= (SECONDS * A_SECOND - most) as u64, "{counters:?}");
}

#[test]
fn a_response_to_nobody_is_refused_before_it_is_handed_on() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    world.seconds(1);
    let response = world.seen.iter().find(|seen| seen.bytes.len() == 92).expect("a response").clone();
    let flood = Endpoint::received(SocketAddr::from(([198, 51, 100, 9], 1_234)), None);
    let handed_on = |change: u8| {
        let (mut arrived, mut out) = (Arrived::default(), DatagramBatch::default());
        let mut bytes = response.bytes.clone();
        // Of the slot, not of what tells its users apart.
        bytes[9] ^= change;
        world.nodes[0].device.handle_datagrams(world.now, flood, &mut bytes, 92, 0, &mut arrived, &mut out);
        arrived.handshakes.len()
    };
    assert_eq!((handed_on(0), handed_on(1)), (1, 0), "one has a session, which will say whether it waits");
    assert_eq!(world.nodes[0].device.counters().drops.unknown_receiver, 1);
}

/// A peer under load asks for one in place of reading our response, as the kernel does.
#[test]
fn a_cookie_for_a_response_goes_into_the_next_one() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    let initiation = world.seen[0].clone();
    world.weather.loss = 1.0;
    world.deliver(1, &initiation);
    let response = world.seen.last().unwrap().clone();
    assert_eq!((response.bytes.len(), &response.bytes[76..]), (92, &[0; 16][..]), "no cookie yet");

    // Paper §5.4.7: sealed with a hash of its sender's key, bound to the response's first MAC.
    let key =
        Blake2s256::new().chain_update(b"cookie--").chain_update(world.nodes[0].server.key.public_key().as_bytes());
    let cipher = XChaCha20Poly1305::new(&key.finalize());
    let sealed = cipher.encrypt(&[9; 24].into(), Payload { msg: &[5; 16], aad: &response.bytes[60..76] }).unwrap();
    let mut reply = [&[3, 0, 0, 0], &response.bytes[4..8], &[9; 24]].concat();
    reply.extend(sealed);
    let reply = Datagram { from: response.to, to: response.from, bytes: reply };
    let wrong = {
        let mut bytes = reply.bytes.clone();
        bytes[4] ^= 1;
        Datagram { bytes, ..reply.clone() }
    };
    world.deliver(1, &wrong);
    assert_eq!(world.nodes[1].device.counters().drops.invalid_handshake, 1, "nobody has that index");
    world.deliver(1, &reply);
    assert_eq!(world.nodes[1].device.counters().drops.invalid_handshake, 1);

    world.seconds(6);
    let again = world.seen.iter().rfind(|seen| seen.is_initiation()).unwrap().clone();
    world.deliver(1, &again);
    let response = world.seen.last().unwrap().clone();
    let mac = <Blake2sMac<U16> as Mac>::new_from_slice(&[5; 16]).unwrap().chain_update(&response.bytes[..76]);
    assert_eq!(response.bytes[76..], mac.finalize().into_bytes()[..]);
}

#[test]
fn a_receiver_that_says_nothing_answers_with_an_empty_packet() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    world.run(KEEPALIVE_TIMEOUT - Duration::from_secs(1));
    assert_eq!(world.nodes[1].device.counters().keepalives_sent, 0);
    world.seconds(2);
    assert_eq!(world.nodes[1].device.counters().keepalives_sent, 1);
    world.seconds(60);
    assert_eq!(world.nodes[0].device.counters().keepalives_sent, 0, "an empty packet asks for no answer");
    assert_eq!(world.nodes[0].device.counters().initiations_sent, 1);
}

#[test]
fn an_idle_session_ends_and_status_makes_none() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    world.seconds(300);
    assert_eq!(world.nodes[0].device.sessions()[0].link, Link::Idle, "its keypair has died");
    world.seconds(61);
    for node in &world.nodes {
        assert!(node.device.sessions().is_empty());
        assert_eq!(node.device.counters().sessions_made, 1);
        assert_eq!(node.device.poll_timeout(), None, "nothing is timed without a session");
    }
    world.send(0, 1, 2);
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), [1, 2]);
}

#[test]
fn a_session_whose_handshake_never_completes_ends_too() {
    let mut world = World::new(2);
    world.weather.loss = 1.0;
    world.send(0, 1, 1);
    world.seconds(100);
    let counters = world.nodes[0].device.counters();
    assert_eq!((counters.held_packets, counters.drops.held_expired), (0, 1), "given up after 90 s");
    assert!((15..=19).contains(&counters.initiations_sent), "every 5 s for 90 s: {}", counters.initiations_sent);
    world.seconds(260);
    assert!(world.nodes[0].device.sessions().is_empty());
}

#[test]
fn a_replayed_initiation_makes_no_session_anew() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    let initiation = world.seen[0].clone();
    world.seconds(1);
    world.deliver(1, &initiation);
    assert_eq!(world.nodes[1].device.counters().drops.replayed_initiation, 1, "while the session lives");
    world.seconds(400);
    assert!(world.nodes[1].device.sessions().is_empty());
    world.deliver(1, &initiation);
    assert!(world.nodes[1].device.sessions().is_empty());
    assert_eq!(world.nodes[1].device.counters().drops.replayed_initiation, 2, "after it was evicted");
    world.send(0, 1, 2);
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), [1, 2], "a new one is welcome");
}

#[test]
fn nor_after_a_restart() {
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("handshakes");
    let mut world = World::new(2);
    world.nodes[1].device.keep_handshakes(&file).unwrap();
    world.send(0, 1, 1);
    let initiation = world.seen[0].clone();
    world.seconds(1);
    let one = world.nodes[0].server.clone();
    let (server, started) = (world.nodes[1].server.clone(), (world.now, SystemTime::now()));
    world.nodes[1].device = Device::new(server.key, server.address, MTU, limits(), table([&one]), started);
    world.nodes[1].device.keep_handshakes(&file).unwrap();
    world.deliver(1, &initiation);
    assert!(world.nodes[1].device.sessions().is_empty());
    assert_eq!(world.nodes[1].device.counters().drops.replayed_initiation, 1);
    // Whoever had a session with the process before agrees anew with the one after.
    world.send(0, 1, 2);
    world.seconds(20);
    world.send(0, 1, 3);
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), [1, 3], "the second packet was sealed for who is gone");
}

#[test]
fn a_retry_waits_five_seconds_and_a_jitter_of_its_own() {
    let mut waits = std::collections::BTreeSet::new();
    for _ in 0..20 {
        let mut world = World::new(2);
        world.weather.loss = 1.0;
        world.send(0, 1, 1);
        waits.insert(world.nodes[0].device.poll_timeout().unwrap() - world.now);
    }
    assert!(waits.iter().all(|wait| (REKEY_TIMEOUT..=REKEY_TIMEOUT + REKEY_JITTER).contains(wait)), "{waits:?}");
    assert!(waits.len() > 10, "all at the same time: {waits:?}");
}

#[test]
fn a_packet_of_more_segments_than_any_batch_arrives_whole_and_in_order() {
    let mut world = World::new(2);
    world.send(0, 1, 0);
    world.seconds(1);
    world.nodes[1].received.clear();
    let (from, to) = (world.nodes[0].server.address.ipv4(), world.nodes[1].server.address.ipv4());
    let mut packet = packet_of(from, to, 0, 65_000);
    packet[9] = 17;
    packet[20..28].copy_from_slice(&[0, 7, 0, 9, 0, 0, 0, 0]);
    let header = VirtioHeader {
        kind: VirtioHeader::UDP_L4,
        needs_checksum: true,
        segment: 50,
        checksum_start: 20,
        checksum_offset: 6,
        ..VirtioHeader::default()
    };
    let payload: Vec<u8> = (0..packet.len() - 28).map(|at| (at / 50) as u8).collect();
    packet[28..].copy_from_slice(&payload);
    let mut out = DatagramBatch::default();
    let whole = Whole::read(header, &mut packet).unwrap();
    world.nodes[0].device.handle_packets(world.now, &whole, &mut out);
    world.post(0, &out);
    world.seconds(1);
    assert_eq!(world.nodes[1].received.len(), payload.len().div_ceil(50));
    let arrived: Vec<u8> = world.nodes[1].received.iter().flat_map(|packet| packet[28..].to_vec()).collect();
    assert!(arrived == payload, "another order, or other bytes");
}

#[test]
fn what_comes_from_port_0_is_not_answered() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    let mut initiation = world.seen[0].clone();
    initiation.from.set_port(0);
    world.deliver(1, &initiation);
    assert_eq!(world.seen.len(), 1);
    assert_eq!(world.nodes[1].device.counters().drops.malformed, 1);
    world.seconds(1);
    assert_eq!(world.nodes[1].marks(), [1], "it counts for nothing");
}

#[test]
fn answers_leave_from_no_address_that_many_have() {
    let from = |own: &str| Endpoint::received("192.0.2.1:1".parse().unwrap(), own.parse().ok()).from;
    for own in ["255.255.255.255", "224.0.0.1", "ff02::1", "::ffff:224.0.0.1"] {
        assert_eq!(from(own), None, "{own}");
    }
    for own in ["192.0.2.7", "fd00::1"] {
        assert_eq!(from(own), own.parse().ok());
    }
}

#[test]
fn an_unknown_key_is_ignored() {
    let mut world = World::new(3);
    let known = world.nodes[1].server.clone();
    world.apply(0, [&known]);
    world.send(2, 0, 1);
    world.seconds(60);
    assert!(world.nodes[0].device.sessions().is_empty());
    assert!(world.nodes[0].device.counters().drops.unknown_key >= 1);
    assert!(world.nodes[0].received.is_empty());
}

#[test]
fn links_are_idle_up_down_and_up_again() {
    let mut world = World::new(2);
    let mut events = world.nodes[0].device.events();
    let link = |world: &World| world.nodes[0].device.sessions()[0].link;
    let peer = world.nodes[1].server.address;
    world.weather.loss = 1.0;
    world.send(0, 1, 1);
    world.seconds(9);
    assert_eq!(link(&world), Link::Idle);
    world.seconds(2);
    assert_eq!(link(&world), Link::Down, "initiations unanswered for 10 s");
    world.weather.loss = 0.0;
    world.seconds(6);
    assert_eq!(link(&world), Link::Up);
    world.seconds(20);
    world.weather.loss = 1.0;
    world.send(0, 1, 2);
    world.seconds(14);
    assert_eq!(link(&world), Link::Up);
    world.seconds(2);
    assert_eq!(link(&world), Link::Down, "data unanswered for 15 s");
    world.weather.loss = 0.0;
    world.seconds(10);
    assert_eq!(link(&world), Link::Up);
    let told: Vec<_> = std::iter::from_fn(|| events.try_recv().ok()).collect();
    let changes = [Link::Down, Link::Up, Link::Down, Link::Up].map(|link| TunnelEvent::LinkChanged(peer, link));
    assert_eq!(told, [&[TunnelEvent::SessionMade(peer)][..], &changes].concat());
    assert_eq!(world.nodes[0].device.sessions()[0].round_trip, Some(Duration::from_millis(20)));
}

#[test]
fn held_packets_are_bounded_for_a_peer_and_in_all() {
    let mut world = World::with_limits(3, Limits { held_packets: 12, held_packets_a_peer: 8, ..limits() });
    world.weather.loss = 1.0;
    for mark in 0..10 {
        world.send(0, 1, mark);
    }
    for mark in 0..10 {
        world.send(0, 2, mark);
    }
    let counters = world.nodes[0].device.counters();
    assert_eq!((counters.held_packets, counters.drops.held_overflow), (12, 8));
    world.weather.loss = 0.0;
    world.seconds(7);
    assert_eq!(world.nodes[1].marks(), (2..10).collect::<Vec<_>>(), "the oldest of a peer give way");
    assert_eq!(world.nodes[2].marks(), (0..4).collect::<Vec<_>>());
}

#[test]
fn sessions_are_bounded() {
    let mut world = World::with_limits(3, Limits { sessions: 1, ..limits() });
    world.send(0, 1, 1);
    world.send(0, 2, 2);
    world.send(2, 0, 3);
    world.seconds(1);
    let counters = world.nodes[0].device.counters();
    assert_eq!((counters.sessions, counters.drops.session_limit), (1, 2));
}

#[test]
fn packets_are_padded_within_the_mtu_and_arrive_unpadded() {
    let mut world = World::new(2);
    let (from, to) = (world.nodes[0].server.address.ipv4(), world.nodes[1].server.address.ipv4());
    world.send(0, 1, 0);
    world.seconds(1);
    world.nodes[1].received.clear();
    for length in [24, 32, 33, 100, 1_409, 1_420] {
        world.seen.clear();
        world.send_packet(0, packet_of(from, to, 9, length));
        world.seconds(1);
        let sealed = world.seen.iter().find(|datagram| datagram.is_transport()).unwrap().bytes.len();
        assert_eq!(sealed, 32 + length.next_multiple_of(16).min(MTU.into()), "{length} bytes");
        assert_eq!(world.nodes[1].received.pop().unwrap(), packet_of(from, to, 9, length));
    }
    world.nodes[0].device.set_mtu(MIN_MTU);
    world.send_packet(0, packet_of(from, to, 9, 1_275));
    assert_eq!(world.seen.last().unwrap().bytes.len(), 32 + usize::from(MIN_MTU));
}

#[test]
fn what_goes_nowhere_is_counted_by_reason() {
    let mut world = World::new(2);
    let own = world.nodes[0].server.address.ipv4();
    let mut silent = Server::new(9);
    silent.endpoint = None;
    let peer = world.nodes[1].server.clone();
    world.apply(0, [&peer, &silent]);
    world.send_packet(0, packet_of(own, "192.0.2.7".parse().unwrap(), 1, 40));
    world.send_packet(0, packet_of(own, "100.64.77.7".parse().unwrap(), 1, 40));
    world.send_packet(0, packet_of(own, silent.address.ipv4(), 1, 40));
    world.send_packet(0, vec![0x60; 60]);
    world.send_packet(0, vec![0x45; 10]);
    let drops = world.nodes[0].device.counters().drops;
    assert_eq!((drops.outside_mesh, drops.unknown_address, drops.no_endpoint, drops.no_ip), (1, 1, 1, 2));
    assert!(world.seen.is_empty() && world.nodes[0].device.sessions().is_empty());
}

#[test]
fn a_peer_speaks_for_its_own_address_alone_and_to_ours_alone() {
    let mut world = World::new(3);
    let to = world.nodes[0].server.address.ipv4();
    let third = world.nodes[2].server.address.ipv4();
    world.send(1, 0, 1);
    world.seconds(1);
    world.send_packet(1, packet_of(third, to, 2, 60));
    world.seconds(1);
    assert_eq!(world.nodes[0].device.counters().drops.spoofed_source, 1);
    // The sender believes that the third address is the first server's.
    let mut wrong = world.nodes[0].server.clone();
    wrong.address = world.nodes[2].server.address;
    world.apply(1, [&wrong]);
    world.send(1, 2, 3);
    world.seconds(1);
    assert_eq!(world.nodes[0].device.counters().drops.foreign_destination, 1);
    assert_eq!(world.nodes[0].marks(), [1]);
}

#[test]
fn a_doubled_transport_message_counts_once() {
    let mut world = World::new(2);
    world.send(0, 1, 1);
    world.seconds(1);
    world.send(0, 1, 2);
    let message = world.seen.last().unwrap().clone();
    world.seconds(1);
    world.deliver(1, &message);
    assert_eq!(world.nodes[1].marks(), [1, 2]);
    assert_eq!(world.nodes[1].device.counters().drops.invalid_transport, 1);
}

#[test]
fn known_peers_cost_no_timer_and_no_session() {
    let mut world = World::new(2);
    let mut servers: Vec<Server> = vec![world.nodes[1].server.clone()];
    let key = servos_tunnel::PrivateKey::generate();
    servers.extend(
        (10..2_000)
            .map(|number| Server { key: key.clone(), ..Server::new(number % 200) })
            .enumerate()
            .map(|(at, server)| Server { address: support::mesh_address(1_000 + at as u32), ..server }),
    );
    world.nodes[0].device.apply(world.now, table(&servers));
    assert_eq!(world.nodes[0].device.poll_timeout(), None);
    world.send(0, 1, 1);
    world.seconds(600);
    let counters = world.nodes[0].device.counters();
    assert_eq!(counters.sessions_made, 1);
    assert!(counters.timers_fired < 10, "{}", counters.timers_fired);
}

proptest! {
    #[test]
    fn garbage_never_panics_and_makes_no_session(
        bytes in proptest::collection::vec(any::<u8>(), 0..300), kind in 0_u8..6, port: u16,
    ) {
        let mut world = World::new(2);
        let mut bytes = bytes;
        if bytes.len() >= 4 {
            bytes[..4].copy_from_slice(&[kind, 0, 0, 0]);
        }
        let exact = [0, 148, 92, 64, 32, 0][usize::from(kind)];
        let from = SocketAddr::new("192.0.2.99".parse().unwrap(), port);
        world.deliver(0, &Datagram { from, to: from, bytes: bytes.clone() });
        bytes.resize(exact, 0x5a);
        world.deliver(0, &Datagram { from, to: from, bytes });
        prop_assert!(world.nodes[0].device.sessions().is_empty());
        prop_assert!(world.nodes[0].received.is_empty() && world.seen.is_empty());
    }

    #[test]
    fn damaged_messages_change_nothing(at in 0_usize..6, byte in 0_usize..148, bit in 0_u8..8, cut in 0_usize..148) {
        let mut world = World::new(2);
        world.send(0, 1, 1);
        world.seconds(1);
        world.send(0, 1, 2);
        let Some(message) = world.seen.get(at).cloned() else { return Ok(()) };
        let target = usize::from(message.to == world.nodes[1].at);
        world.seconds(1);
        let received = world.nodes[1].marks();
        let mut damaged = message.clone();
        let place = byte % damaged.bytes.len();
        damaged.bytes[place] ^= 1 << bit;
        world.deliver(target, &damaged);
        let mut short = message;
        short.bytes.truncate(cut);
        world.deliver(target, &short);
        prop_assert_eq!(world.nodes[1].marks(), received);
        world.send(0, 1, 3);
        world.send(1, 0, 4);
        world.seconds(1);
        prop_assert_eq!(world.nodes[1].marks(), [1, 2, 3]);
        prop_assert_eq!(world.nodes[0].marks(), [4]);
    }
}
