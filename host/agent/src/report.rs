//! What a person can ask of the running agent: status, plan, peers, services, plugins, a name, metrics.

use std::sync::Arc;
use std::time::{Instant, SystemTime};

use parking_lot::Mutex;
use serde::Serialize;
use serde_json::{Value, json};
use servos_mesh::{Health, Link, MeshAddress, PeerRecord, Protocol, PublicKey, SkippedPeer, Snapshot, timestamp};
use servos_sandbox::naming::{Outcome, Question, Rdata, RecordType};
use servos_sandbox::{PluginHost, PluginStatus, ResetError};
use servos_tunnel::SessionStatus;
use tokio::sync::watch;

use crate::executors::driver::{ExecutorStatus, Handle, PlanView};
use crate::identity::Identity;
use crate::key_ring::KeyRing;
use crate::limits::PEERS_LISTED;
use crate::poll::ControlStatus;
use crate::rotation_handle::{RotationHandle, RotationStatus};
use crate::shared_tunnel::SharedTunnel;
use crate::snapshots::instance_key;

/// The running agent, as those see it who ask.
pub struct Reporter {
    /// Who this server is.
    pub identity: Identity,
    /// Its keys.
    pub keys: Arc<KeyRing>,
    /// What gives it others.
    pub key_rotation: RotationHandle,
    /// When the agent started.
    pub started: Instant,
    /// What everybody reads.
    pub snapshots: watch::Receiver<Arc<Snapshot>>,
    /// How polling goes.
    pub control: Arc<Mutex<ControlStatus>>,
    /// The executors, in the order in which they are shown.
    pub executors: Vec<(&'static str, Handle)>,
    /// The plugins.
    pub plugins: Arc<PluginHost>,
    /// The tunnel.
    pub tunnel: SharedTunnel,
    /// Problems of start-up that do not stop the agent, for example a plugin folder that cannot be watched.
    pub start_problems: Vec<String>,
}

/// Answer of `status`.
#[derive(Debug, Serialize)]
pub struct Status {
    version: &'static str,
    healthy: bool,
    uptime_seconds: u64,
    server: ServerStatus,
    mesh: MeshStatus,
    control: ControlStatus,
    executors: Vec<ExecutorStatus>,
    plugins: Vec<PluginStatus>,
    problems: Vec<String>,
}

#[derive(Debug, Serialize)]
struct ServerStatus {
    name: String,
    organisation: String,
    address: MeshAddress,
    public_key: PublicKey,
    key_rotation: Option<RotationStatus>,
    domain: String,
}

#[derive(Debug, Serialize)]
struct MeshStatus {
    revision: u64,
    generation: u64,
    peers: usize,
    services: usize,
    skipped_peers: Vec<SkippedPeer>,
}

/// A line of `peers`.
#[derive(Debug, Serialize)]
struct PeerLine {
    name: String,
    address: MeshAddress,
    public_key: PublicKey,
    endpoint: Option<String>,
    link: Link,
    #[serde(serialize_with = "timestamp::serialize")]
    last_handshake: Option<SystemTime>,
    rx_bytes: u64,
    tx_bytes: u64,
}

/// A line of `services`.
#[derive(Debug, Serialize)]
struct ServiceLine {
    name: String,
    protocol: Protocol,
    port: u16,
    mesh_failover: bool,
    hosts: Vec<String>,
    instances: Vec<InstanceLine>,
}

#[derive(Debug, Serialize)]
struct InstanceLine {
    server: String,
    address: MeshAddress,
    port: u16,
    weight: u16,
    health: Health,
    link: Link,
    round_trip_us: Option<u128>,
}

impl Reporter {
    /// All of `status`.
    pub fn status(&self) -> Status {
        let snapshot = self.snapshots.borrow().clone();
        let table = &snapshot.table;
        let control = self.control.lock().clone();
        let executors: Vec<_> = self.executors.iter().map(|(_, handle)| handle.status()).collect();
        let mut problems = self.start_problems.clone();
        problems.extend(control.error.clone());
        problems.extend(control.state_file_error.clone());
        let key = self.key_rotation.status();
        problems.extend(key.problem.map(|problem| format!("key rotation: {problem}")));
        for executor in &executors {
            problems.extend(executor.errors.iter().map(|error| format!("{}: {error}", executor.name)));
        }
        for skipped in table.skipped() {
            problems.push(format!("peer {} ({}) is skipped: {:?}", skipped.name, skipped.address, skipped.reason));
        }
        let plugins = self.plugins.status();
        problems.extend(plugins.iter().filter_map(plugin_problem));
        Status {
            version: env!("CARGO_PKG_VERSION"),
            healthy: problems.is_empty(),
            uptime_seconds: self.started.elapsed().as_secs(),
            server: ServerStatus {
                name: self.identity.name.to_string(),
                organisation: self.identity.organisation.clone(),
                address: self.identity.address,
                public_key: self.keys.public_key(),
                key_rotation: key.rotation,
                domain: self.identity.domain.to_string(),
            },
            mesh: MeshStatus {
                revision: table.revision().0,
                generation: snapshot.generation,
                peers: table.len(),
                services: table.services().len(),
                skipped_peers: table.skipped().cloned().collect(),
            },
            control,
            executors,
            plugins,
            problems,
        }
    }

    /// What each executor would do at this moment.
    pub async fn plan(&self) -> Value {
        let snapshot = self.snapshots.borrow().clone();
        let mut parts = serde_json::Map::new();
        for (name, handle) in &self.executors {
            let part = match handle.plan().await {
                Ok(PlanView { steps, notes }) => json!({ "steps": steps, "notes": notes }),
                Err(error) => json!({ "error": error }),
            };
            parts.insert((*name).to_owned(), part);
        }
        json!({
            "revision": snapshot.table.revision(),
            "generation": snapshot.generation,
            "executors": parts,
        })
    }

    /// The peers, at most [`PEERS_LISTED`] unless `all`; those with a session first.
    pub fn peers(&self, all: bool) -> Value {
        let snapshot = self.snapshots.borrow().clone();
        let sessions = self.tunnel.load().as_ref().map(|tunnel| tunnel.sessions()).unwrap_or_default();
        let sessions: std::collections::HashMap<_, _> =
            sessions.into_iter().filter_map(|session| Some((session.peer.mesh_address()?, session))).collect();
        let limit = if all { usize::MAX } else { PEERS_LISTED };
        let with = sessions.keys().filter_map(|&address| snapshot.table.peer_by_address(address));
        let without = snapshot.table.peers().filter(|peer| !sessions.contains_key(&peer.address()));
        let mut lines: Vec<_> = with
            .chain(without)
            .take(limit)
            .map(|peer| peer_line(&snapshot, peer, sessions.get(&peer.address())))
            .collect();
        lines.sort_by_key(|line| line.address);
        json!({ "peers": lines, "total": snapshot.table.len() })
    }

    /// All services with their instances, as this server sees them.
    pub fn services(&self) -> Value {
        let snapshot = self.snapshots.borrow().clone();
        let lines: Vec<_> = snapshot.table.services().iter().map(|s| service_line(&snapshot, s)).collect();
        json!({ "services": lines })
    }

    /// The plugins.
    pub fn plugins(&self) -> Value {
        json!({ "plugins": self.plugins.status() })
    }

    /// Has a plugin asked again that was set aside; its status comes back.
    ///
    /// # Errors
    ///
    /// [`ResetError`] if none of that name runs.
    pub fn reset_plugin(&self, name: &str) -> Result<Value, ResetError> {
        self.plugins.reset(name)?;
        let status = self.plugins.status().into_iter().find(|plugin| plugin.name == name);
        Ok(json!({ "plugin": status }))
    }

    /// The addresses of a name: a server's own, else what the naming plugins say. Blocking.
    pub fn lookup(&self, name: &str) -> Value {
        let snapshot = self.snapshots.borrow().clone();
        let domain = format!(".{}", snapshot.table.domain());
        let name = name.strip_suffix(&domain).unwrap_or(name);
        if let Some(server) = snapshot.table.server_by_name(name) {
            return json!({ "kind": "server", "addresses": [server.address()] });
        }
        let question = Question { name: name.to_owned(), record_type: RecordType::A };
        let addresses: Vec<_> = match self.plugins.resolve(&snapshot, &question) {
            Outcome::Answers(answers) => answers
                .into_iter()
                .filter_map(|answer| match answer.rdata {
                    Rdata::A(address) => Some(address),
                    _ => None,
                })
                .collect(),
            _ => Vec::new(),
        };
        json!({ "kind": "service", "addresses": addresses })
    }

    /// Metrics in Prometheus' text format (version 0.0.4).
    pub fn metrics(&self) -> String {
        crate::metrics::render(&serde_json::to_value(self.status()).unwrap_or_default())
    }
}

fn plugin_problem(plugin: &PluginStatus) -> Option<String> {
    let value = serde_json::to_value(plugin).ok()?;
    plugin.problem().map(|problem| format!("plugin {}: {problem}", value["name"].as_str().unwrap_or("?")))
}

fn peer_line(snapshot: &Snapshot, peer: &PeerRecord, session: Option<&SessionStatus>) -> PeerLine {
    let endpoint = session.and_then(|session| session.endpoint).or(peer.endpoint());
    PeerLine {
        name: snapshot.table.name_of(peer).to_owned(),
        address: peer.address(),
        public_key: *peer.public_key(),
        endpoint: endpoint.map(|endpoint| endpoint.to_string()),
        link: session.map_or(Link::Idle, |session| session.link),
        last_handshake: session.and_then(|session| session.last_handshake),
        rx_bytes: session.map_or(0, |session| session.rx_bytes),
        tx_bytes: session.map_or(0, |session| session.tx_bytes),
    }
}

fn service_line(snapshot: &Snapshot, service: &servos_mesh::Service) -> ServiceLine {
    let table = &snapshot.table;
    let instances = service.instances.iter().take(PEERS_LISTED).map(|instance| {
        let address = instance.server();
        let name = table.server_by_address(address).map(|server| table.name_of(server));
        let seen = snapshot.instance(&instance_key(service, instance));
        InstanceLine {
            server: name.unwrap_or_default().to_owned(),
            address,
            port: instance.port(),
            weight: instance.weight(),
            health: seen.map_or(Health::Unknown, |seen| seen.health),
            link: snapshot.link(address).link,
            round_trip_us: seen.and_then(|seen| seen.round_trip).map(|time| time.as_micros()),
        }
    });
    ServiceLine {
        name: service.name.to_string(),
        protocol: service.protocol,
        port: service.port,
        mesh_failover: service.mesh_failover,
        hosts: service.hosts.iter().map(ToString::to_string).collect(),
        instances: instances.collect(),
    }
}
