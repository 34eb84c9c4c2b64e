//! A mesh in a YAML file, to ask a plugin in: servers, services, and what this server sees of them.
//!
//! The words are those of `resources.yaml` and of the contract; `sdk/README.md` describes the format.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::{Deserialize, Deserializer, de};
use servos_mesh::{
    DnsLabel, Health, HostName, InstanceKey, InstanceObservation, KeyGeneration, Link, LinkObservation, MeshAddress,
    MeshStateBuilder, Observations, Own, PeerEntry, PeerTable, Protocol, Proxy, PublicKey, Revision, Service, Snapshot,
    WireError,
};
use servos_sandbox::policy::{LocalInstance, PolicyContext, Transport};
use servos_sandbox::weighting::Candidate;

/// A mesh as a plugin sees it.
#[derive(Clone, Debug)]
pub struct Mesh {
    /// What it asks `directory` for.
    pub snapshot: Arc<Snapshot>,
    /// What a policy is told.
    pub context: PolicyContext,
    /// Weights in force.
    weights: HashMap<InstanceKey, u16>,
}

impl Mesh {
    /// Reads the text of a file.
    ///
    /// # Errors
    ///
    /// [`MeshFileError`], with the line where there is one.
    pub fn parse(text: &str) -> Result<Self, MeshFileError> {
        let file: File = serde_yaml_ng::from_str(text)?;
        let addresses = addresses(&file.servers)?;
        let of = |server: &DnsLabel| match addresses.get(server) {
            Some(&address) => Ok(address),
            None => Err(MeshFileError::UnknownServer(server.clone())),
        };
        let own = file.this_server.as_ref().or(file.servers.first().map(|server| &server.name));
        let own = own.map(of).transpose()?;
        let taken_at = Instant::now();
        let mut state = MeshStateBuilder::new([1; 16], "file", file.domain.clone(), Revision(1));
        let mut seen = Observations::default();
        for server in &file.servers {
            let address = of(&server.name)?;
            state.peer(peer(server.name.clone(), address)?);
            let link = server.link.into();
            seen.links.insert(address, LinkObservation { link, round_trip: server.round_trip });
        }
        let mut weights = HashMap::new();
        let mut local = Vec::new();
        for service in file.services {
            let mut places = Vec::new();
            for instance in &service.instances {
                let (server, port) = (of(&instance.server)?, instance.port);
                places.push((server, port, instance.weight));
                let key = InstanceKey { service: service.name.clone(), server, port };
                if let Some(weight) = instance.current_weight {
                    weights.insert(key.clone(), weight);
                }
                let changed_at = taken_at.checked_sub(instance.health_age).unwrap_or(taken_at);
                let round_trip = instance.round_trip;
                let health = instance.health.into();
                seen.instances
                    .insert(key, InstanceObservation { health, changed_at, flaps: instance.flaps, round_trip });
                if Some(server) == own {
                    let transport = match service.protocol {
                        Protocol::Http | Protocol::Tcp => Transport::Tcp,
                        Protocol::Udp => Transport::Udp,
                    };
                    local.push(LocalInstance { service: service.name.as_str().to_owned(), transport, port });
                }
            }
            state.service(service.without_instances(), places);
        }
        let proxy_ports = file.proxy_ports;
        seen.proxy =
            own.filter(|_| !proxy_ports.is_empty()).map(|address| Proxy { address, ports: proxy_ports.clone() });
        let own = own.map(|address| Ok::<_, MeshFileError>(Own { address, public_key: key(address)? })).transpose()?;
        let table = PeerTable::new(Arc::new(state.build()?), own);
        let snapshot = Snapshot { generation: 1, taken_at, table: Arc::new(table), observations: Arc::new(seen) };
        let context = PolicyContext {
            wireguard_port: file.wireguard_port,
            interface: file.interface,
            instances: local,
            proxy_ports,
        };
        Ok(Self { snapshot: Arc::new(snapshot), context, weights })
    }

    /// The instances of a service, each with the weight that is in force.
    pub fn candidates(&self, service: &Service) -> Vec<Candidate> {
        let weight =
            |server, port| self.weights.get(&InstanceKey { service: service.name.clone(), server, port }).copied();
        let instances = service.instances.iter();
        instances
            .map(|&instance| Candidate { instance, current_weight: weight(instance.server(), instance.port()) })
            .collect()
    }
}

/// Each server's address: its own, or the next from 100.64.0.1 that nobody has.
fn addresses(servers: &[Server]) -> Result<HashMap<DnsLabel, MeshAddress>, MeshFileError> {
    let mut taken: Vec<_> = servers.iter().filter_map(|server| server.address).collect();
    let mut next = 1;
    let mut addresses = HashMap::new();
    for server in servers {
        let address = match server.address {
            Some(address) => address,
            None => loop {
                let address = MeshAddress::from_index(next).map_err(|_| MeshFileError::Full)?;
                next += 1;
                if !taken.contains(&address) {
                    taken.push(address);
                    break address;
                }
            },
        };
        if addresses.insert(server.name.clone(), address).is_some() {
            return Err(MeshFileError::Twice(server.name.clone()));
        }
    }
    Ok(addresses)
}

fn peer(name: DnsLabel, address: MeshAddress) -> Result<PeerEntry, MeshFileError> {
    let (key_generation, since) = (KeyGeneration::FIRST, Revision(1));
    Ok(PeerEntry { public_key: key(address)?, key_generation, endpoint: None, address, name, since })
}

/// A key of its own for each; no plugin sees it.
fn key(address: MeshAddress) -> Result<PublicKey, MeshFileError> {
    let mut bytes = [1; 32];
    bytes[..4].copy_from_slice(&address.index().to_le_bytes());
    PublicKey::from_bytes(bytes).map_err(|_| MeshFileError::Full)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct File {
    #[serde(default = "domain", deserialize_with = "parsed")]
    domain: HostName,
    #[serde(default, deserialize_with = "parsed_option")]
    this_server: Option<DnsLabel>,
    servers: Vec<Server>,
    #[serde(default)]
    services: Vec<ServiceEntry>,
    #[serde(default)]
    proxy_ports: Vec<u16>,
    #[serde(default = "wireguard_port")]
    wireguard_port: u16,
    #[serde(default = "interface")]
    interface: String,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Server {
    #[serde(deserialize_with = "parsed")]
    name: DnsLabel,
    #[serde(default, deserialize_with = "parsed_option")]
    address: Option<MeshAddress>,
    #[serde(default)]
    link: LinkWord,
    #[serde(default, deserialize_with = "duration_option")]
    round_trip: Option<Duration>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct ServiceEntry {
    #[serde(deserialize_with = "parsed")]
    name: DnsLabel,
    protocol: Protocol,
    port: u16,
    #[serde(default)]
    enable_mesh_failover: bool,
    #[serde(default, deserialize_with = "hosts")]
    hosts: Vec<HostName>,
    #[serde(default)]
    labels: std::collections::BTreeMap<String, String>,
    #[serde(default)]
    instances: Vec<InstanceEntry>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct InstanceEntry {
    #[serde(deserialize_with = "parsed")]
    server: DnsLabel,
    port: u16,
    #[serde(default = "weight")]
    weight: u16,
    #[serde(default)]
    health: HealthWord,
    #[serde(default, deserialize_with = "duration")]
    health_age: Duration,
    #[serde(default)]
    flaps: u32,
    #[serde(default, deserialize_with = "duration_option")]
    round_trip: Option<Duration>,
    #[serde(default)]
    current_weight: Option<u16>,
}

impl ServiceEntry {
    fn without_instances(self) -> Service {
        Service {
            name: self.name,
            protocol: self.protocol,
            port: self.port,
            mesh_failover: self.enable_mesh_failover,
            hosts: self.hosts,
            labels: self.labels.into_iter().collect(),
            health_check: None,
            instances: Vec::new(),
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum LinkWord {
    Up,
    #[default]
    Idle,
    Down,
}

impl From<LinkWord> for Link {
    fn from(word: LinkWord) -> Self {
        match word {
            LinkWord::Up => Self::Up,
            LinkWord::Idle => Self::Idle,
            LinkWord::Down => Self::Down,
        }
    }
}

#[derive(Clone, Copy, Default, Deserialize)]
#[serde(rename_all = "lowercase")]
enum HealthWord {
    #[default]
    Unknown,
    Healthy,
    Unhealthy,
}

impl From<HealthWord> for Health {
    fn from(word: HealthWord) -> Self {
        match word {
            HealthWord::Unknown => Self::Unknown,
            HealthWord::Healthy => Self::Healthy,
            HealthWord::Unhealthy => Self::Unhealthy,
        }
    }
}

fn domain() -> HostName {
    "mesh.internal".parse().expect("labels and a dot are a host name")
}

fn interface() -> String {
    "wg0".to_owned()
}

fn wireguard_port() -> u16 {
    51_820
}

fn weight() -> u16 {
    100
}

fn parsed<'de, D: Deserializer<'de>, T>(from: D) -> Result<T, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    String::deserialize(from)?.parse().map_err(de::Error::custom)
}

fn parsed_option<'de, D: Deserializer<'de>, T>(from: D) -> Result<Option<T>, D::Error>
where
    T: std::str::FromStr<Err: std::fmt::Display>,
{
    parsed(from).map(Some)
}

fn hosts<'de, D: Deserializer<'de>>(from: D) -> Result<Vec<HostName>, D::Error> {
    Vec::<String>::deserialize(from)?.iter().map(|host| host.parse().map_err(de::Error::custom)).collect()
}

fn duration<'de, D: Deserializer<'de>>(from: D) -> Result<Duration, D::Error> {
    humantime::parse_duration(&String::deserialize(from)?).map_err(de::Error::custom)
}

fn duration_option<'de, D: Deserializer<'de>>(from: D) -> Result<Option<Duration>, D::Error> {
    duration(from).map(Some)
}

/// Why a file is no mesh.
#[derive(Debug, thiserror::Error)]
pub enum MeshFileError {
    /// Not the YAML that it should be.
    #[error(transparent)]
    Syntax(#[from] serde_yaml_ng::Error),
    /// A server that is not in the list.
    #[error("there is no server {0} in the list `servers`")]
    UnknownServer(DnsLabel),
    /// A server that is in the list twice.
    #[error("server {0} stands in the list `servers` twice")]
    Twice(DnsLabel),
    /// No address is left.
    #[error("more servers than 100.64.0.0/10 has addresses")]
    Full,
    /// What no agent would take.
    #[error("an agent would not take this mesh")]
    Mesh(#[from] WireError),
}
