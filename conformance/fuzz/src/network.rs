//! Devices joined by a network that an attacker owns: every datagram can be kept, changed, sent again and from elsewhere.
//!
//! What must hold whatever happens is asserted as it goes: a packet that comes out was put in by the peer whose address
//! it bears, as it is and as often; nothing is held, and no session kept, beyond the limits; what is due is done.

use std::cell::RefCell;
use std::collections::HashMap;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::{Duration, Instant, UNIX_EPOCH};

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, Mac};
use blake2::{Blake2s256, Blake2sMac, Digest};
use servos_mesh::{MeshAddress, MeshStateBuilder, PeerEntry, PeerTable, PublicKey, Revision};
use servos_tunnel::device::changes::{Changes, PeerChange};
use servos_tunnel::device::{Arrived, DatagramBatch, Endpoint, Packets};
use servos_tunnel::limits::Limits;
use servos_tunnel::offload::{VirtioHeader, Whole};
use servos_tunnel::{Device, PrivateKey};

/// Servers with a device; one more is known to all and silent.
pub const NODES: usize = 3;
const KNOWN: usize = NODES + 1;

const MTU: u16 = 1_420;

/// Datagrams that the attacker keeps.
const KEPT: usize = 128;

/// Rounds of datagrams that are answered until the network is let be.
const ROUNDS: usize = 8;

/// Few of all, so that the limits are met.
const LIMITS: Limits = Limits {
    session_idle: Duration::from_secs(360),
    sessions: 2,
    held_packets: 6,
    held_packets_a_peer: 4,
    handshakes_a_second: 1_000,
};

/// One server.
pub struct Node {
    pub device: Device,
    pub at: SocketAddr,
    /// Which others it knows, by bit.
    knows: u8,
    /// What came from its interface and did not come out anywhere yet.
    sent: HashMap<Vec<u8>, usize>,
}

/// A datagram that was seen.
#[derive(Clone)]
pub struct Seen {
    pub from: SocketAddr,
    pub to: SocketAddr,
    pub bytes: Vec<u8>,
}

/// See the module.
pub struct Network {
    began: Instant,
    pub now: Instant,
    pub nodes: Vec<Node>,
    /// The last of all that was sent.
    pub seen: Vec<Seen>,
    /// Those at the end of `seen` that were not delivered to whom they are for.
    under_way: usize,
    /// The first node's peers were configured one by one, with prefixes that overlap.
    configured: bool,
}

impl Network {
    /// `configured`: the first node is one that `wg set` configures. `strict`: it asks everybody for a cookie.
    pub fn new(configured: bool, strict: bool) -> Self {
        let now = Instant::now();
        let started = (now, UNIX_EPOCH + Duration::from_secs(1_800_000_000));
        let node = |at: usize| {
            let asks = u32::from(!(strict && at == 0)) * LIMITS.handshakes_a_second;
            let limits = Limits { handshakes_a_second: asks, ..LIMITS };
            let knows = everybody_but(at);
            let device = if configured && at == 0 {
                Device::configurable(MTU, limits, started)
            } else {
                Device::new(key(at), address(at), MTU, limits, table(at, knows, false), started)
            };
            Node { device, at: home(at), knows, sent: HashMap::new() }
        };
        let mut network =
            Self { began: now, now, nodes: (0..NODES).map(node).collect(), seen: Vec::new(), under_way: 0, configured };
        if configured {
            network.configure(everybody_but(0), false);
        }
        network
    }

    /// A packet of the interface. Whatever the kernel may hand over.
    pub fn packet(&mut self, at: usize, header: &[u8; VirtioHeader::LENGTH], bytes: &[u8]) {
        let mut bytes = bytes.to_vec();
        let Some(whole) = Whole::read(VirtioHeader::read(header), &mut bytes) else { return };
        let node = &mut self.nodes[at];
        for one in 0..whole.count() {
            let mut packet = vec![0; whole.length(one)];
            whole.write(one, &mut packet);
            *node.sent.entry(packet).or_default() += 1;
        }
        let mut out = DatagramBatch::default();
        node.device.handle_packets(self.now, &whole, &mut out);
        self.post(at, &out);
    }

    /// A packet of a server's own address to another's. No two are alike.
    pub fn marked_packet(&mut self, from: usize, to: usize, mark: u32, length: usize) {
        let packet = marked(ip(from), ip(to), mark, length);
        self.packet(from, &[0; VirtioHeader::LENGTH], &packet);
    }

    /// Datagrams in one receive, each of `stride` bytes but the last. What comes out must have been put in.
    pub fn datagrams(&mut self, to: usize, source: SocketAddr, bytes: &[u8], stride: usize) {
        // As it lies in the shell's buffer.
        const BASE: usize = 1 << 16;
        let (mut bytes, mut arrived, mut out) = (bytes.to_vec(), Arrived::default(), DatagramBatch::default());
        let own = Some(self.nodes[to].at.ip());
        let (now, source) = (self.now, Endpoint::received(source, own));
        self.nodes[to].device.handle_datagrams(now, source, &mut bytes, stride, BASE, &mut arrived, &mut out);
        for message in &arrived.handshakes {
            self.nodes[to].device.handle_handshake(now, message, &mut out);
        }
        for range in arrived.packets {
            self.delivered(to, &bytes[range.start - BASE..range.end - BASE]);
        }
        self.post(to, &out);
    }

    /// Lets honest datagrams through until there are none, or for some rounds.
    pub fn exchange(&mut self) {
        for _ in 0..ROUNDS {
            let arriving = self.seen[self.seen.len() - self.under_way..].to_vec();
            self.under_way = 0;
            if arriving.is_empty() {
                return;
            }
            for datagram in arriving {
                if let Some(to) = self.nodes.iter().position(|node| node.at == datagram.to) {
                    self.datagrams(to, datagram.from, &datagram.bytes, datagram.bytes.len());
                }
            }
        }
    }

    /// Lets time pass at once, and all that is due be done.
    pub fn pass(&mut self, time: Duration) {
        self.now += time;
        for at in 0..NODES {
            let mut out = DatagramBatch::default();
            let device = &self.nodes[at].device;
            device.handle_timeout(self.now, &mut out);
            assert!(device.poll_timeout().is_none_or(|due| due > self.now), "what is due is not done");
            self.post(at, &out);
        }
    }

    /// Time is told by a thread that read the clock before others did.
    pub fn step_back(&mut self, time: Duration) {
        self.now = self.now.checked_sub(time).map_or(self.began, |now| now.max(self.began));
    }

    /// Lets time pass with honest datagrams alone, each timer at its time.
    pub fn live(&mut self, time: Duration) {
        let end = self.now + time;
        loop {
            self.exchange();
            let due = self.nodes.iter().filter_map(|node| node.device.poll_timeout()).min();
            let Some(due) = due.filter(|due| *due <= end) else { break };
            self.pass(due.saturating_duration_since(self.now));
        }
        self.pass(end.saturating_duration_since(self.now));
        self.exchange();
    }

    /// Gives a node another table: who is in it, and whether they moved.
    pub fn change(&mut self, at: usize, knows: u8, moved: bool) {
        let knows = knows & everybody_but(at);
        if self.configured && at == 0 {
            self.configure(knows, moved);
        } else {
            self.nodes[at].device.apply(self.now, table(at, knows, moved));
        }
        self.nodes[at].knows = knows;
    }

    /// All know all, who are where they were.
    pub fn restore(&mut self) {
        for at in 0..NODES {
            self.change(at, u8::MAX, false);
        }
    }

    /// What holds at any time.
    pub fn check(&self) {
        for node in &self.nodes {
            let counters = node.device.counters();
            assert!(counters.held_packets <= LIMITS.held_packets as u64, "{} held", counters.held_packets);
            assert!(counters.sessions <= LIMITS.sessions as u64, "{} sessions", counters.sessions);
            let sessions = node.device.sessions();
            assert_eq!(sessions.len() as u64, counters.sessions);
            for session in sessions {
                let peer = (0..KNOWN).find(|at| public_key(*at) == session.public_key);
                let peer = peer.expect("a session with a stranger");
                assert!(node.knows >> peer & 1 != 0, "a session with who left");
            }
        }
    }

    /// How many packets that were put in at `from` have not come out.
    pub fn missing(&self, from: usize) -> usize {
        self.nodes[from].sent.values().sum()
    }

    /// Forgets what did not come out.
    pub fn forget_missing(&mut self) {
        self.nodes.iter_mut().for_each(|node| node.sent.clear());
    }

    /// The handshake message with a first MAC that is right for `to`.
    pub fn stamp(to: usize, message: &mut [u8]) {
        let Some(body) = message.len().checked_sub(32) else { return };
        let receiver = public_key(to);
        let hash = Blake2s256::new().chain_update(b"mac1----").chain_update(receiver.as_bytes()).finalize();
        let mut mac = <Blake2sMac<U16> as Mac>::new_from_slice(&hash).expect("32 bytes are a key");
        Mac::update(&mut mac, &message[..body]);
        message[body..body + 16].copy_from_slice(&mac.finalize_fixed());
    }

    fn configure(&mut self, knows: u8, moved: bool) {
        let peer = |at: usize| {
            let net = |ip: Ipv4Addr, prefix| ipnet::Ipv4Net::new(ip, prefix).expect("a prefix").into();
            let mut peer = PeerChange::of(public_key(at));
            peer.remove = knows >> at & 1 == 0;
            peer.replace_allowed_ips = true;
            peer.endpoint = Some(if moved { elsewhere(at) } else { home(at) });
            peer.allowed_ips = vec![(net(ip(at), 32), false), (net(Ipv4Addr::new(10, 0, 0, 0), 8 * at as u8), false)];
            peer
        };
        let changes = Changes {
            private_key: self.nodes[0].device.private_key().is_none().then(|| Some(key(0))),
            peers: (1..KNOWN).map(peer).collect(),
            ..Changes::default()
        };
        let mut out = DatagramBatch::default();
        self.nodes[0].device.configure(self.now, &changes, &mut out).expect("it is configurable");
        self.post(0, &out);
    }

    /// Whose an address is, for a node.
    fn owner(&self, at: usize, source: Ipv4Addr) -> Option<usize> {
        let knows = |peer: &usize| self.nodes[at].knows >> *peer & 1 != 0;
        let mut peers = (0..KNOWN).filter(knows);
        if !(self.configured && at == 0) {
            return peers.find(|peer| ip(*peer) == source);
        }
        // See `configure`: the longest prefix wins.
        let [a, b, c, _] = source.octets();
        let prefix = |peer: &usize| [a, b, c].starts_with(&[10, 0, 0][..*peer]);
        peers.clone().find(|peer| ip(*peer) == source).or_else(|| peers.rfind(prefix))
    }

    fn delivered(&mut self, at: usize, packet: &[u8]) {
        assert!(packet.len() >= 20 && packet[0] >> 4 == 4, "nothing else was put in");
        assert_eq!(usize::from(u16::from_be_bytes([packet[2], packet[3]])), packet.len());
        let word = |from: usize| Ipv4Addr::new(packet[from], packet[from + 1], packet[from + 2], packet[from + 3]);
        let (source, destination) = (word(12), word(16));
        let owner = self.owner(at, source).expect("from an address that is nobody's");
        if !(self.configured && at == 0) {
            assert_eq!(destination, ip(at), "for somebody else");
        }
        let sent = self.nodes.get_mut(owner).and_then(|node| node.sent.get_mut(packet));
        let sent = sent.expect("a packet that its peer did not send");
        *sent = sent.checked_sub(1).expect("a packet came out once more");
    }

    fn post(&mut self, from: usize, out: &DatagramBatch) {
        let source = self.nodes[from].at;
        for (to, bytes) in out.datagrams() {
            let length = bytes.len();
            let sane = match bytes[..4] {
                [1, 0, 0, 0] => length == 148,
                [2, 0, 0, 0] => length == 92,
                [3, 0, 0, 0] => length == 64,
                [4, 0, 0, 0] => length >= 32 && (length % 16 == 0 || length >= 32 + usize::from(MTU)),
                _ => false,
            };
            assert!(sane, "{length} bytes of type {}", bytes[0]);
            self.seen.push(Seen { from: source, to: to.to, bytes: bytes.to_vec() });
            self.under_way += 1;
        }
        let beyond = self.seen.len().saturating_sub(KEPT);
        self.seen.drain(..beyond);
        self.under_way = self.under_way.min(self.seen.len());
    }
}

/// An IPv4 packet with a mark behind its head.
fn marked(from: Ipv4Addr, to: Ipv4Addr, mark: u32, length: usize) -> Vec<u8> {
    let mut packet = vec![0x45; length.clamp(24, MTU.into())];
    let total = packet.len() as u16;
    packet[2..4].copy_from_slice(&total.to_be_bytes());
    packet[12..16].copy_from_slice(&from.octets());
    packet[16..20].copy_from_slice(&to.octets());
    packet[20..24].copy_from_slice(&mark.to_be_bytes());
    packet
}

fn everybody_but(at: usize) -> u8 {
    ((1 << KNOWN) - 1) & !(1 << at)
}

thread_local! {
    static KEYS: [(PrivateKey, PublicKey); KNOWN] = std::array::from_fn(|at| {
        let key = PrivateKey::from_bytes(&[at as u8 + 1; 32]);
        let public = key.public_key();
        (key, public)
    });
    static TABLES: RefCell<HashMap<(usize, u8, bool), Arc<PeerTable>>> = RefCell::default();
}

fn key(at: usize) -> PrivateKey {
    KEYS.with(|keys| keys[at].0.clone())
}

/// Computed once: in a fuzzer's build it takes longer than a step.
fn public_key(at: usize) -> PublicKey {
    KEYS.with(|keys| keys[at].1)
}

fn address(at: usize) -> MeshAddress {
    MeshAddress::from_index(at as u32 + 1).expect("a small index")
}

fn ip(at: usize) -> Ipv4Addr {
    address(at).ipv4()
}

/// Where a server is reached.
pub fn home(at: usize) -> SocketAddr {
    SocketAddr::from(([192, 0, 2, at as u8 + 1], 51_820))
}

fn elsewhere(at: usize) -> SocketAddr {
    SocketAddr::new(IpAddr::from([0x2001, 0xdb8, 0, 0, 0, 0, 0, at as u16]), 7)
}

/// Made once: a table takes longer than all else.
fn table(at: usize, knows: u8, moved: bool) -> Arc<PeerTable> {
    let make = || {
        let domain = "mesh.internal".parse().expect("a domain");
        let mut builder = MeshStateBuilder::new([7; 16], "fuzz", domain, Revision(1));
        for peer in (0..KNOWN).filter(|peer| knows >> peer & 1 != 0) {
            builder.peer(PeerEntry {
                public_key: public_key(peer),
                endpoint: Some(if moved { elsewhere(peer) } else { home(peer) }),
                address: address(peer),
                name: format!("s{peer}").parse().expect("a label"),
                key_generation: servos_mesh::KeyGeneration::FIRST,
                since: Revision(1),
            });
        }
        Arc::new(PeerTable::new(Arc::new(builder.build().expect("a sane mesh")), None))
    };
    TABLES.with_borrow_mut(|tables| tables.entry((at, knows, moved)).or_insert_with(make).clone())
}
