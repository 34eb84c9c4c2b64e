//! A restart: whoever had a session with the process before has one with the next at once.

mod support;

use std::path::{Path, PathBuf};
use std::time::Duration;

use servos_tunnel::Device;
use servos_tunnel::limits::RESUME_PAUSE;
use support::{MTU, Server, World, limits, table};

/// Nodes of which the first keeps its sessions and is restarted.
struct Restarts {
    world: World,
    file: PathBuf,
    _folder: tempfile::TempDir,
}

impl Restarts {
    fn new(count: u32) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let (world, file) = (World::new(count), folder.path().join("sessions"));
        let mut restarts = Self { world, file, _folder: folder };
        restarts.restart(0);
        restarts
    }

    /// Kills the first and starts it anew, on a wall's clock that was set by `seconds`. It knows all but `without`.
    fn restart_without(&mut self, seconds: u64, without: Option<usize>) {
        let (now, wall) = self.world.clocks();
        let started = (now, wall + Duration::from_secs(seconds));
        let servers = Vec::from_iter(self.world.nodes.iter().map(|node| node.server.clone()));
        let peers = servers.iter().enumerate().filter(|(at, _)| *at != 0 && Some(*at) != without).map(|(_, peer)| peer);
        let Server { key, address, .. } = servers[0].clone();
        let device = Device::new(key, address, MTU, limits(), table(peers), started);
        device.keep_sessions(started, &self.file).expect("a file");
        self.world.nodes[0].device = device;
    }

    fn restart(&mut self, seconds: u64) {
        self.restart_without(seconds, None);
    }

    fn initiations(&self) -> usize {
        self.world
            .seen
            .iter()
            .filter(|datagram| datagram.is_initiation() && datagram.from == self.world.nodes[0].at)
            .count()
    }
}

#[test]
fn a_peer_that_alone_sends_is_heard_a_round_trip_later_whoever_began_before() {
    for begins in [0, 1] {
        let mut restarts = Restarts::new(2);
        restarts.world.send(begins, 1 - begins, 1);
        restarts.world.seconds(1);
        for mark in 2..5 {
            restarts.restart(0);
            // There, back, and the message that shows that it came.
            restarts.world.run(Duration::from_millis(35));
            restarts.world.send(1, 0, mark);
            restarts.world.seconds(1);
        }
        let marks = restarts.world.nodes[0].marks();
        assert!(marks.ends_with(&[2, 3, 4]), "{marks:?}");
        assert_eq!(restarts.world.nodes[0].device.counters().handshakes, 1);
    }
}

#[test]
fn one_after_the_other_and_the_last_first() {
    let mut restarts = Restarts::new(4);
    for peer in [2, 1, 3] {
        restarts.world.send(0, peer, 1);
        restarts.world.seconds(2);
    }
    restarts.restart(0);
    let before = restarts.world.seen.len();
    let mut to = Vec::new();
    for step in 1..=3 {
        restarts.world.run(if step == 1 { Duration::ZERO } else { RESUME_PAUSE });
        let seen = &restarts.world.seen[before..];
        assert_eq!(seen.len(), step, "one each {RESUME_PAUSE:?}");
        to.push(seen[step - 1].to);
    }
    assert_eq!(to, [3, 1, 2].map(|peer| restarts.world.nodes[peer].at));
}

#[test]
fn nobody_is_asked_whose_keys_are_dead_or_who_left_or_on_another_day() {
    let mut restarts = Restarts::new(3);
    let asked = |restarts: &mut Restarts| {
        let before = restarts.initiations();
        restarts.world.seconds(1);
        restarts.initiations() - before
    };
    restarts.world.send(1, 0, 1);
    restarts.world.send(2, 0, 1);
    restarts.world.seconds(170);
    restarts.restart_without(0, Some(2));
    assert_eq!(asked(&mut restarts), 1, "the other left");
    restarts.world.seconds(200);
    restarts.restart(0);
    assert_eq!(asked(&mut restarts), 0, "the keys are dead");
    restarts.world.send(1, 0, 2);
    restarts.world.seconds(1);
    restarts.restart(86_400);
    assert_eq!(asked(&mut restarts), 0, "a machine that was off for a day");
}

#[test]
fn who_is_known_without_endpoint_is_found_where_it_was() {
    let mut restarts = Restarts::new(2);
    restarts.world.nodes[1].server.endpoint = None;
    restarts.restart(0);
    restarts.world.send(1, 0, 1);
    restarts.world.seconds(1);
    restarts.restart(0);
    restarts.world.run(Duration::from_millis(35));
    restarts.world.send(0, 1, 2);
    restarts.world.seconds(1);
    assert_eq!(restarts.world.nodes[1].marks(), [2]);
}

#[test]
fn a_file_that_is_cut_or_damaged_costs_what_is_damaged_alone() {
    let mut restarts = Restarts::new(3);
    restarts.world.send(1, 0, 1);
    restarts.world.seconds(1);
    restarts.world.send(2, 0, 1);
    restarts.world.seconds(1);
    restarts.restart(0);
    restarts.world.seconds(1);
    let kept = std::fs::read(&restarts.file).expect("a file");
    let after = |restarts: &mut Restarts, bytes: &[u8]| {
        std::fs::write(&restarts.file, bytes).expect("written");
        restarts.restart(0);
        restarts.world.nodes[0].device.sessions().len()
    };
    assert_eq!(after(&mut restarts, &kept), 2);
    assert_eq!(after(&mut restarts, &kept[..33]), 1);
    assert_eq!(after(&mut restarts, &[]), 0);
    let mut damaged = kept.clone();
    damaged.iter_mut().step_by(3).for_each(|byte| *byte = 0xff);
    assert_eq!(after(&mut restarts, &damaged), 0);
}

#[test]
fn the_file_does_not_grow_with_handshakes() {
    let mut restarts = Restarts::new(2);
    let length = |path: &Path| std::fs::metadata(path).expect("a file").len();
    let mut longest = 0;
    for mark in 0..9_000 {
        restarts.world.send(1, 0, mark);
        // Each begins a handshake, the keypair before being old.
        restarts.world.seconds(121);
        longest = longest.max(length(&restarts.file));
    }
    assert!(restarts.world.nodes[0].device.counters().handshakes > 8_000);
    assert!(longest <= 32 * 4_200, "{longest} bytes");
}
