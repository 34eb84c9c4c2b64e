//! A stage for the tests: a TUN device with the filter on it, in a network namespace of the test's own thread.

#![allow(dead_code, reason = "each test binary uses its own part")]

use std::net::{Ipv4Addr, UdpSocket};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use nix::sched::{CloneFlags, unshare};
use servos_mesh::{MeshAddress, MeshStateBuilder, Own, PeerEntry, PeerTable, PublicKey, Revision};
use servos_wakeup::{Counters, Hook, Wakes, WakeupFilter};
use tun_rs::{DeviceBuilder, SyncDevice};

pub const OWN: &str = "100.64.0.1";
pub const PEER: &str = "100.64.0.7";
pub const OTHER_PEER: &str = "100.127.255.254";
pub const NOBODY: &str = "100.64.0.8";

/// A device with the filter on it, and a socket to send from.
pub struct Stage {
    pub device: SyncDevice,
    pub socket: UdpSocket,
    pub filter: WakeupFilter,
    pub wakes: Wakes,
}

/// Runs a test in a thread whose network is its own and goes with it.
pub fn on_stage(test: impl AsyncFnOnce(Stage) + Send + 'static) {
    on_stage_by(Hook::of_this_kernel(), test);
}

/// The same, with the filter on a hook of the test's choice.
pub fn on_stage_by(hook: Hook, test: impl AsyncFnOnce(Stage) + Send + 'static) {
    std::thread::spawn(move || {
        unshare(CloneFlags::CLONE_NEWNET).expect("a network namespace: run as root");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let device = DeviceBuilder::new().name("wg0").ipv4(OWN, 10, None).build_sync().expect("a TUN device");
            device.set_nonblocking(true).expect("non-blocking");
            let mut filter =
                WakeupFilter::attach_by(hook, &object(), "wg0", &table(&[PEER, OTHER_PEER])).expect("the filter");
            let wakes = filter.take_wakes().expect("the ring").expect("taken once");
            let socket = UdpSocket::bind((OWN.parse::<Ipv4Addr>().expect("an address"), 0)).expect("a socket");
            // The kernel's own multicast of bringing the device up is not the test's.
            drain(&device);
            test(Stage { device, socket, filter, wakes }).await;
        });
    })
    .join()
    .expect("the thread");
}

impl Stage {
    pub fn send(&self, to: &str, count: usize) {
        for _ in 0..count {
            // What the filter drops comes back as an error.
            let _ = self.socket.send_to(b"x", (to, 9));
        }
    }

    /// How many UDP packets came through, where so many are expected.
    pub fn read(&self, expected: usize) -> usize {
        read(&self.device, expected)
    }

    pub fn counters(&self) -> Counters {
        self.filter.counters().expect("counters")
    }

    pub async fn wake(&mut self) -> MeshAddress {
        let woken = tokio::time::timeout(Duration::from_secs(30), self.wakes.next()).await;
        woken.expect("a wake event").expect("the ring")
    }

    pub async fn no_wake(&mut self) -> bool {
        tokio::time::timeout(Duration::from_millis(50), self.wakes.next()).await.is_err()
    }
}

fn drain(device: &SyncDevice) -> usize {
    let mut packet = [0; 2_048];
    let mut count = 0;
    while let Ok(length) = device.recv(&mut packet) {
        let udp_over_ipv4 = length > 20 && packet[0] >> 4 == 4 && packet[9] == 17;
        count += usize::from(udp_over_ipv4);
    }
    count
}

/// The same, where so many are expected: another processor may be the one that hands them to the device, after `send` has
/// returned.
pub fn read(device: &SyncDevice, expected: usize) -> usize {
    let started = Instant::now();
    let mut count = drain(device);
    while count < expected && started.elapsed() < Duration::from_secs(30) {
        std::thread::park_timeout(Duration::from_millis(1));
        count += drain(device);
    }
    count
}

pub fn object() -> Vec<u8> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/guests/mesh-wakeup.o");
    std::fs::read(path).expect("the eBPF object: run `cargo xtask build`")
}

pub fn address(text: &str) -> MeshAddress {
    text.parse().expect("a mesh address")
}

pub fn table(peers: &[&str]) -> PeerTable {
    let domain = "mesh.internal".parse().expect("a domain");
    let mut mesh = MeshStateBuilder::new([1; 16], "acme", domain, Revision(1));
    for (at, peer) in [OWN].iter().chain(peers).enumerate() {
        mesh.peer(PeerEntry {
            public_key: PublicKey::from_bytes([at as u8 + 1; 32]).expect("a key"),
            key_generation: servos_mesh::KeyGeneration::FIRST,
            endpoint: None,
            address: address(peer),
            name: format!("s{at}").parse().expect("a name"),
            since: Revision(1),
        });
    }
    let own = Own { address: address(OWN), public_key: PublicKey::from_bytes([1; 32]).expect("a key") };
    PeerTable::new(Arc::new(mesh.build().expect("a mesh")), Some(own))
}
