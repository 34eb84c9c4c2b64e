//! Tables, packets, and a network in memory that loses, doubles and reorders what devices send each other.

#![cfg(test)]
#![allow(dead_code, reason = "each test file uses its part")]

use std::collections::{BTreeMap, HashMap};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};

use rand::rngs::StdRng;
use rand::{Rng as _, SeedableRng as _};
use servos_mesh::{KeyGeneration, MeshAddress, MeshState, MeshStateBuilder, PeerEntry, PeerTable, Revision};
use servos_tunnel::device::{Arrived, DatagramBatch, Endpoint};
use servos_tunnel::limits::Limits;
use servos_tunnel::{Device, PrivateKey};

pub const MTU: u16 = 1_420;

/// A server: what a record says of it.
#[derive(Clone, Debug)]
pub struct Server {
    pub key: PrivateKey,
    pub address: MeshAddress,
    pub endpoint: Option<SocketAddr>,
    /// None: after its address.
    pub name: Option<String>,
    pub generation: KeyGeneration,
}

impl Server {
    pub fn new(number: u32) -> Self {
        let endpoint = SocketAddr::new(Ipv4Addr::new(192, 0, 2, number as u8).into(), 51_820);
        Self {
            key: PrivateKey::generate(),
            address: mesh_address(number),
            endpoint: Some(endpoint),
            name: None,
            generation: KeyGeneration::FIRST,
        }
    }

    /// The same server with its next key.
    pub fn rotated(&self) -> Self {
        Self { key: PrivateKey::generate(), generation: self.generation.after_rotation(), ..self.clone() }
    }
}

pub fn mesh_address(number: u32) -> MeshAddress {
    MeshAddress::from_index(number).unwrap()
}

pub fn table<'a>(servers: impl IntoIterator<Item = &'a Server>) -> Arc<PeerTable> {
    Arc::new(PeerTable::new(Arc::new(state(servers, Revision(1))), None))
}

pub fn state<'a>(servers: impl IntoIterator<Item = &'a Server>, revision: Revision) -> MeshState {
    let mut builder = MeshStateBuilder::new([7; 16], "test", "mesh.internal".parse().unwrap(), revision);
    for server in servers {
        builder.peer(PeerEntry {
            public_key: server.key.public_key(),
            key_generation: server.generation,
            endpoint: server.endpoint,
            address: server.address,
            name: server.name.clone().unwrap_or(format!("s{}", server.address.index())).parse().unwrap(),
            since: Revision(1),
        });
    }
    builder.build().unwrap()
}

/// An IPv4 packet of `length` bytes with `mark` behind its header.
pub fn packet_of(from: Ipv4Addr, to: Ipv4Addr, mark: u32, length: usize) -> Vec<u8> {
    let mut packet = vec![0; length.max(24)];
    packet[0] = 0x45;
    let total = packet.len() as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    packet[20..24].copy_from_slice(&mark.to_be_bytes());
    packet
}

pub fn mark_of(packet: &[u8]) -> u32 {
    u32::from_be_bytes(packet[20..24].try_into().unwrap())
}

/// How the network treats datagrams.
#[derive(Clone, Debug)]
pub struct Weather {
    pub latency: Duration,
    /// Added at random, so that datagrams overtake each other.
    pub jitter: Duration,
    pub loss: f64,
    pub doubling: f64,
}

impl Default for Weather {
    fn default() -> Self {
        Self { latency: Duration::from_millis(10), jitter: Duration::ZERO, loss: 0.0, doubling: 0.0 }
    }
}

/// A datagram under way, or seen.
#[derive(Clone, Debug)]
pub struct Datagram {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

impl Datagram {
    pub fn is_initiation(&self) -> bool {
        self.bytes[0] == 1
    }

    pub fn is_transport(&self) -> bool {
        self.bytes[0] == 4
    }
}

pub struct Node {
    pub device: Device,
    pub server: Server,
    /// Where it sends from and is reached.
    pub at: SocketAddr,
    pub received: Vec<Vec<u8>>,
}

impl Node {
    pub fn marks(&self) -> Vec<u32> {
        self.received.iter().map(|packet| mark_of(packet)).collect()
    }
}

pub struct World {
    pub now: Instant,
    /// When it began, on both clocks.
    began: (Instant, SystemTime),
    pub weather: Weather,
    pub nodes: Vec<Node>,
    /// All that was sent, lost or not.
    pub seen: Vec<Datagram>,
    under_way: BTreeMap<(Instant, u64), Datagram>,
    sent: u64,
    random: StdRng,
}

/// Generous with handshakes: virtual hours pass in real milliseconds, and the library counts real seconds.
pub fn limits() -> Limits {
    Limits { handshakes_a_second: 1_000_000, ..Limits::default() }
}

impl World {
    /// As many servers, each with all in its table.
    pub fn new(count: u32) -> Self {
        Self::with_limits(count, limits())
    }

    pub fn with_limits(count: u32, limits: Limits) -> Self {
        let servers: Vec<Server> = (1..=count).map(Server::new).collect();
        let now = Instant::now();
        let node = |server: &Server| {
            let others = servers.iter().filter(|other| other.address != server.address);
            let started = (now, SystemTime::now());
            let key = server.key.clone();
            Node {
                device: Device::new(key, server.address, MTU, limits.clone(), table(others), started),
                server: server.clone(),
                at: server.endpoint.unwrap(),
                received: Vec::new(),
            }
        };
        let nodes = servers.iter().map(node).collect();
        let random = StdRng::seed_from_u64(1);
        let began = (now, SystemTime::now());
        Self {
            now,
            began,
            weather: Weather::default(),
            nodes,
            seen: Vec::new(),
            under_way: BTreeMap::new(),
            sent: 0,
            random,
        }
    }

    /// The present on both clocks.
    pub fn clocks(&self) -> (Instant, SystemTime) {
        let (began, wall) = self.began;
        (self.now, wall + (self.now - began))
    }

    pub fn seed(&mut self, seed: u64) {
        self.random = StdRng::seed_from_u64(seed);
    }

    /// One node sends another a packet with a mark.
    pub fn send(&mut self, from: usize, to: usize, mark: u32) {
        let (source, target) = (self.nodes[from].server.address.ipv4(), self.nodes[to].server.address.ipv4());
        self.send_packet(from, packet_of(source, target, mark, 100));
    }

    pub fn send_packet(&mut self, from: usize, packet: Vec<u8>) {
        let mut out = DatagramBatch::default();
        self.nodes[from].device.handle_packets(self.now, &packet[..], &mut out);
        self.post(from, &out);
    }

    /// Hands a datagram to a node, past the network.
    pub fn deliver(&mut self, to: usize, datagram: &Datagram) {
        self.deliver_joined(to, std::slice::from_ref(datagram));
    }

    /// Hands datagrams of one source and one length, but a shorter last one, to a node in one receive, past the network.
    pub fn deliver_joined(&mut self, to: usize, datagrams: &[Datagram]) {
        let (mut arrived, mut out) = (Arrived::default(), DatagramBatch::default());
        let clocks = self.clocks();
        let node = &mut self.nodes[to];
        let mut bytes: Vec<u8> = datagrams.iter().flat_map(|datagram| datagram.bytes.clone()).collect();
        let (source, stride) = (Endpoint::received(datagrams[0].from, None), datagrams[0].bytes.len());
        node.device.handle_datagrams(self.now, source, &mut bytes, stride, 0, &mut arrived, &mut out);
        for message in &arrived.handshakes {
            node.device.handle_handshake(self.now, message, &mut out);
        }
        node.device.write_journals(clocks);
        node.received.extend(arrived.packets.into_iter().map(|packet| bytes[packet].to_vec()));
        self.post(to, &out);
    }

    /// Lets time pass, with all that comes due in it.
    pub fn run(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            let arrival = self.under_way.first_key_value().map(|((at, _), _)| *at);
            let timers = self.nodes.iter().filter_map(|node| node.device.poll_timeout());
            let Some(next) = timers.chain(arrival).min().filter(|next| *next <= end) else { break };
            self.now = self.now.max(next);
            if arrival == Some(next) {
                let (_, datagram) = self.under_way.pop_first().unwrap();
                if let Some(to) = self.nodes.iter().position(|node| node.at == datagram.to) {
                    self.deliver(to, &datagram);
                }
                continue;
            }
            for at in 0..self.nodes.len() {
                let mut out = DatagramBatch::default();
                self.nodes[at].device.handle_timeout(self.now, &mut out);
                self.post(at, &out);
            }
        }
        self.now = end;
    }

    pub fn seconds(&mut self, seconds: u64) {
        self.run(Duration::from_secs(seconds));
    }

    /// Gives a node the table of these servers.
    pub fn apply<'a>(&mut self, at: usize, servers: impl IntoIterator<Item = &'a Server>) -> servos_tunnel::Applied {
        self.nodes[at].device.apply(self.now, table(servers))
    }

    /// Puts what a node sends on its way.
    pub fn post(&mut self, from: usize, out: &DatagramBatch) {
        let source = self.nodes[from].at;
        for (to, bytes) in out.datagrams() {
            let datagram = Datagram { from: source, to: to.to, bytes: bytes.to_vec() };
            self.seen.push(datagram.clone());
            if self.random.random_bool(self.weather.loss) {
                continue;
            }
            let copies = 1 + u32::from(self.random.random_bool(self.weather.doubling));
            for _ in 0..copies {
                self.sent += 1;
                let jitter = self.weather.jitter.mul_f64(self.random.random());
                let at = self.now + self.weather.latency + jitter;
                self.under_way.insert((at, self.sent), datagram.clone());
            }
        }
    }
}

/// How often each mark is there.
pub fn tally(marks: &[u32]) -> HashMap<u32, usize> {
    let mut tally = HashMap::new();
    for mark in marks {
        *tally.entry(*mark).or_default() += 1;
    }
    tally
}
