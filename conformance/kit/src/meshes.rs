//! The meshes that a plugin is asked about.

use std::collections::HashMap;
use std::sync::{Arc, LazyLock};
use std::time::{Duration, Instant};

use servos_mesh::limits::{MAX_HOSTS, MAX_LABEL_TEXT, MAX_LABELS};
use servos_mesh::{
    Health, InstanceKey, InstanceObservation, Link, LinkObservation, MeshAddress, MeshStateBuilder, Observations, Own,
    PeerEntry, PeerTable, Protocol, Proxy, PublicKey, Revision, Service, Snapshot,
};

use crate::limits::MANY_INSTANCES;

/// A label of 63 bytes, the longest there is.
pub const LONG_LABEL: &str = "a23456789-123456789-123456789-123456789-123456789-123456789-123";

/// A host name of 253 bytes, the longest there is.
pub const LONG_HOST: &str = "a23456789-123456789-123456789-123456789-123456789-123456789-123.\
                             b23456789-123456789-123456789-123456789-123456789-123456789-123.\
                             c23456789-123456789-123456789-123456789-123456789-123456789-123.\
                             d23456789-123456789-123456789-123456789-123456789-123456789-1";

/// A service that runs on every server of the large mesh.
pub const LARGE: &str = "large";

/// All of them; the large one takes a moment to make.
pub static MESHES: LazyLock<Meshes> =
    LazyLock::new(|| Meshes { small: small(), empty: empty(), large: large(), unjoined: unjoined() });

/// The meshes: everyday, empty, large, and without this server's own record.
pub struct Meshes {
    pub small: Arc<Snapshot>,
    pub empty: Arc<Snapshot>,
    pub large: Arc<Snapshot>,
    pub unjoined: Arc<Snapshot>,
}

impl Meshes {
    /// Each with its name.
    pub fn all(&self) -> [(&'static str, &Arc<Snapshot>); 4] {
        [("small", &self.small), ("empty", &self.empty), ("large", &self.large), ("not yet joined", &self.unjoined)]
    }
}

/// Eight servers; services of every protocol, with and without failover, healthy and not, without instances, and with
/// names as long as they may be.
fn small() -> Arc<Snapshot> {
    let mut mesh = Mesh::new(8);
    mesh.service("api", Protocol::Http, true, &[(1, 8_080), (2, 8_080), (3, 8_080), (4, 8_080)]);
    mesh.service("postgres", Protocol::Tcp, false, &[(2, 5_432)]);
    mesh.service("queue", Protocol::Tcp, true, &[(5, 1), (5, 65_535), (6, 5_672)]);
    mesh.service("syslog", Protocol::Udp, false, &[(7, 514)]);
    mesh.service("nowhere", Protocol::Http, true, &[]);
    mesh.service(LONG_LABEL, Protocol::Http, false, &[(8, 80)]);
    mesh.full_service("full", &[(1, 1), (1, 65_535)]);
    let healths = [Health::Healthy, Health::Healthy, Health::Unhealthy, Health::Unknown];
    for (server, health) in (1..).zip(healths) {
        mesh.observe("api", server, 8_080, health);
    }
    mesh.observe("queue", 5, 1, Health::Unhealthy);
    mesh.observe("queue", 6, 5_672, Health::Unhealthy);
    mesh.links = HashMap::from([
        (address(2), LinkObservation { link: Link::Up, round_trip: Some(Duration::from_micros(350)) }),
        (address(3), LinkObservation { link: Link::Down, round_trip: None }),
        (address(4), LinkObservation { link: Link::Idle, round_trip: None }),
    ]);
    mesh.build(Some(1), Some(Proxy { address: address(1), ports: vec![80, 443] }))
}

/// This server alone, and no service.
fn empty() -> Arc<Snapshot> {
    Mesh::new(1).build(Some(1), None)
}

/// A service with an instance on each of many servers.
fn large() -> Arc<Snapshot> {
    let mut mesh = Mesh::new(MANY_INSTANCES);
    let places: Vec<_> = (1..=MANY_INSTANCES).map(|server| (server, 8_080)).collect();
    mesh.service(LARGE, Protocol::Http, true, &places);
    for server in 1..=MANY_INSTANCES {
        mesh.observe(LARGE, server, 8_080, if server % 3 == 0 { Health::Unhealthy } else { Health::Healthy });
    }
    mesh.build(Some(MANY_INSTANCES / 2), None)
}

/// What an agent has before the first state arrives.
fn unjoined() -> Arc<Snapshot> {
    Mesh::new(0).build(None, None)
}

struct Mesh {
    state: MeshStateBuilder,
    instances: HashMap<InstanceKey, InstanceObservation>,
    links: HashMap<MeshAddress, LinkObservation>,
    taken_at: Instant,
}

impl Mesh {
    /// A mesh of servers `s1`, `s2`, …
    fn new(servers: u32) -> Self {
        let domain = "mesh.internal".parse().expect("a host name as it stands here");
        let mut state = MeshStateBuilder::new([1; 16], "conformance", domain, Revision(7));
        for server in 1..=servers {
            state.peer(PeerEntry {
                public_key: key(server),
                key_generation: servos_mesh::KeyGeneration::FIRST,
                endpoint: None,
                address: address(server),
                name: format!("s{server}").parse().expect("a letter and digits are a label"),
                since: Revision(1),
            });
        }
        Self { state, instances: HashMap::new(), links: HashMap::new(), taken_at: Instant::now() }
    }

    fn service(&mut self, name: &str, protocol: Protocol, mesh_failover: bool, places: &[(u32, u16)]) {
        let hosts = vec![format!("{name}.example.org").parse().expect("a label and a domain are a host name")];
        let labels = vec![("team".to_owned(), "größe=∞".to_owned()), ("empty".to_owned(), String::new())];
        self.add(
            Service {
                name: name.parse().expect("a label as it stands in this file"),
                protocol,
                port: places.first().map_or(80, |&(_, port)| port),
                mesh_failover,
                hosts,
                labels,
                health_check: None,
                instances: Vec::new(),
            },
            places,
        );
    }

    /// One with as many host names and labels as a service may have, each as long as it may be.
    fn full_service(&mut self, name: &str, places: &[(u32, u16)]) {
        let host = |at: usize| match at {
            0 => LONG_HOST.parse(),
            _ => format!("{at:02}{}", &LONG_HOST[2..]).parse(),
        };
        // Odd characters: right to left, joined, outside the basic plane, and none of ASCII.
        let text = "\u{202e}e\u{301}\u{1f980}\u{feff}\u{e000}\u{10ffff}";
        let label = |at: usize| (format!("{at:02}{}", "k".repeat(MAX_LABEL_TEXT - 2)), text.to_owned());
        self.add(
            Service {
                name: name.parse().expect("a label as it stands in this file"),
                protocol: Protocol::Tcp,
                port: u16::MAX,
                mesh_failover: true,
                hosts: (0..MAX_HOSTS)
                    .map(host)
                    .collect::<Result<_, _>>()
                    .expect("digits and a host name are a host name"),
                labels: (0..MAX_LABELS).map(label).collect(),
                health_check: None,
                instances: Vec::new(),
            },
            places,
        );
    }

    fn add(&mut self, service: Service, places: &[(u32, u16)]) {
        let weight = |at: usize| [100, 1, 1_000, 0][at % 4];
        let places = places.iter().enumerate().map(|(at, &(server, port))| (address(server), port, weight(at)));
        self.state.service(service, places.collect());
    }

    fn observe(&mut self, service: &str, server: u32, port: u16, health: Health) {
        let service = service.parse().expect("a label as it stands in this file");
        let observation = InstanceObservation {
            health,
            changed_at: self.taken_at,
            flaps: server % 5,
            round_trip: (health == Health::Healthy).then(|| Duration::from_micros(200 + u64::from(server))),
        };
        self.instances.insert(InstanceKey { service, server: address(server), port }, observation);
    }

    fn build(self, own: Option<u32>, proxy: Option<Proxy>) -> Arc<Snapshot> {
        let state = self.state.build().expect("a mesh as it stands in this file is well-formed");
        let own = own.map(|server| Own { address: address(server), public_key: key(server) });
        Arc::new(Snapshot {
            generation: 7,
            taken_at: self.taken_at,
            table: Arc::new(PeerTable::new(Arc::new(state), own)),
            observations: Arc::new(Observations { instances: self.instances, links: self.links, proxy }),
        })
    }
}

fn address(server: u32) -> MeshAddress {
    MeshAddress::from_index(server).expect("a hundred thousand servers lie below 2^22")
}

fn key(server: u32) -> PublicKey {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&server.to_le_bytes());
    PublicKey::from_bytes(bytes).expect("not all zero")
}
