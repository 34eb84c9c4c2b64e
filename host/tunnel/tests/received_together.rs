//! Datagrams that one receive gives together, of which some are opened side by side.

mod support;

use support::{Datagram, World, packet_of};

/// Two nodes with a session, and messages of one to the other that the network did not carry; their marks count up.
fn messages(count: u32) -> (World, Vec<Datagram>) {
    let mut world = World::new(2);
    world.send(0, 1, 0);
    world.seconds(1);
    world.nodes[1].received.clear();
    world.weather.loss = 1.0;
    let already = world.seen.len();
    (0..count).for_each(|mark| world.send(0, 1, mark));
    let messages = world.seen.split_off(already);
    assert!(messages.iter().all(Datagram::is_transport));
    (world, messages)
}

const COUNTS: [u32; 14] = [1, 2, 3, 4, 7, 8, 9, 16, 23, 24, 31, 32, 33, 64];

#[test]
fn all_arrive_in_order_and_once() {
    for count in COUNTS {
        let (mut world, messages) = messages(count);
        world.deliver_joined(1, &messages);
        assert_eq!(world.nodes[1].marks(), Vec::from_iter(0..count), "{count} together");
        world.deliver_joined(1, &messages);
        assert_eq!(world.nodes[1].marks().len(), count as usize, "{count} together, again");
        assert_eq!(world.nodes[1].device.counters().drops.invalid_transport, u64::from(count));
    }
}

#[test]
fn a_shorter_last_one_arrives_behind_them() {
    for count in COUNTS {
        let (mut world, mut messages) = messages(count);
        let (source, target) = (world.nodes[0].server.address.ipv4(), world.nodes[1].server.address.ipv4());
        world.send_packet(0, packet_of(source, target, count, 40));
        messages.extend(world.seen.pop());
        assert!(messages[count as usize].bytes.len() < messages[0].bytes.len());
        world.deliver_joined(1, &messages);
        assert_eq!(world.nodes[1].marks(), Vec::from_iter(0..=count), "{count} together");
    }
}

#[test]
fn one_that_is_not_right_stops_no_other() {
    for count in COUNTS {
        let odd = count as usize / 2;
        let others = Vec::from_iter((0..count).filter(|mark| *mark as usize != odd));
        // Its tag, its counter, its receiver, its type.
        for byte in [100, 15, 7, 0] {
            let (mut world, mut messages) = messages(count);
            messages[odd].bytes[byte] ^= 0x80;
            world.deliver_joined(1, &messages);
            let node = &world.nodes[1];
            assert_eq!(node.marks(), others, "{count} together, byte {byte}");
            let drops = node.device.counters().drops;
            let counted = [drops.invalid_transport, drops.unknown_receiver, drops.malformed];
            let expected = match byte {
                0 => [0, 0, 1],
                7 => [0, 1, 0],
                _ => [1, 0, 0],
            };
            assert_eq!(counted, expected, "{count} together, byte {byte}");
        }
    }
}

#[test]
fn each_that_is_for_nobody_is_counted() {
    for count in COUNTS {
        let (mut world, mut messages) = messages(count);
        messages.iter_mut().for_each(|message| message.bytes[7] ^= 0x80);
        world.deliver_joined(1, &messages);
        let node = &world.nodes[1];
        assert_eq!((node.received.len(), node.device.counters().drops.unknown_receiver), (0, u64::from(count)));
    }
}
