//! The tunnel's executor: `wg0` is up, holds the mesh that the snapshot says, and has the MTU of the way out; the
//! wakeup filter before it knows who is known and who has a session.

use std::path::PathBuf;
use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::json;
use servos_mesh::{LinkObservation, MeshAddress, PeerTable, Snapshot};
use servos_tunnel::limits::DEFAULT_MTU;
use servos_tunnel::{Tunnel, TunnelConfig, TunnelEvent};
use servos_wakeup::{Wakes, WakeupFilter};
use tokio::sync::{mpsc, watch};
use tracing::{debug, info, warn};

use crate::error_chain::chain;
use crate::executors::driver::{Applied, Detail, Executor, PlanView};
use crate::executors::way_mtu::WayMtu;
use crate::guests::MESH_WAKEUP;
use crate::identity::Identity;
use crate::key_ring::KeyRing;
use crate::settings::{Settings, TunnelSettings};
use crate::shared_tunnel::SharedTunnel;
use crate::snapshots::LinkChange;

/// See the module.
pub struct TunnelPart {
    settings: TunnelSettings,
    address: MeshAddress,
    control_url: String,
    /// Where the times of handshakes are kept, and with whom there are sessions.
    handshakes: PathBuf,
    sessions: PathBuf,
    keys: Arc<KeyRing>,
    shared: SharedTunnel,
    links: mpsc::UnboundedSender<LinkChange>,
    nudge: watch::Sender<u64>,
    mtu: Option<WayMtu>,
    /// That of the interface which the agent before left, as long as the way's is not known.
    mtu_before: Option<u16>,
    /// What the running tunnel has.
    in_force: Option<InForce>,
    filter: SharedFilter,
}

struct InForce {
    table: Arc<PeerTable>,
    mtu: u16,
}

/// The wakeup filter; changed by the executor and by the tunnel's events.
enum Filter {
    /// The tunnel is not up yet.
    Off,
    /// Tried once; the reason stands in `status`.
    Unavailable(String),
    /// On the interface's egress.
    Attached(Box<WakeupFilter>),
}

type SharedFilter = Arc<Mutex<Filter>>;

impl TunnelPart {
    /// Nothing is touched before the first round.
    pub fn new(
        settings: &Settings,
        identity: &Identity,
        keys: Arc<KeyRing>,
        shared: SharedTunnel,
        links: mpsc::UnboundedSender<LinkChange>,
    ) -> Self {
        Self {
            settings: settings.tunnel.clone(),
            address: identity.address,
            control_url: identity.control_url.clone(),
            handshakes: settings.paths.handshakes(),
            sessions: settings.paths.sessions(),
            keys,
            shared,
            links,
            nudge: watch::Sender::new(0),
            mtu: None,
            mtu_before: None,
            in_force: None,
            filter: Arc::new(Mutex::new(Filter::Off)),
        }
    }

    /// Turns whenever the way out has another MTU.
    pub fn nudges(&self) -> watch::Receiver<u64> {
        self.nudge.subscribe()
    }

    fn wanted_mtu(&self) -> u16 {
        let found = self.mtu.as_ref().and_then(WayMtu::last);
        self.settings.mtu.or(found).or(self.mtu_before).unwrap_or(DEFAULT_MTU)
    }

    fn steps(&self, snapshot: &Snapshot) -> Vec<String> {
        let revision = snapshot.table.revision();
        let Some(in_force) = &self.in_force else {
            return vec![format!(
                "make {} with {}/{}, MTU {}, UDP port {}, {} known peers of revision {revision}",
                self.settings.interface,
                self.address,
                MeshAddress::PREFIX_LENGTH,
                self.wanted_mtu(),
                self.settings.listen_port,
                snapshot.table.len()
            )];
        };
        let mut steps = Vec::new();
        if !Arc::ptr_eq(&in_force.table, &snapshot.table) {
            let before = in_force.table.revision();
            steps.push(format!("go from revision {before} to {revision}: {} known peers", snapshot.table.len()));
        }
        if in_force.mtu != self.wanted_mtu() {
            steps.push(format!("change the MTU from {} to {}", in_force.mtu, self.wanted_mtu()));
        }
        steps
    }

    /// Follows the MTU of the way to the control plane, which is the way to the peers where there is one uplink.
    async fn follow_mtu(&mut self) {
        if self.mtu.is_some() || self.settings.mtu.is_some() {
            return;
        }
        let nudge = self.nudge.clone();
        let mut way = WayMtu::follow(&self.control_url, move || nudge.send_modify(|count| *count += 1));
        if way.first().await.is_none() {
            self.mtu_before = Tunnel::left_mtu(&self.settings.interface);
            info!(mtu = self.wanted_mtu(), "the MTU of the way out is not known yet");
        }
        self.mtu = Some(way);
    }

    async fn start(&mut self, snapshot: &Snapshot) -> Result<String, String> {
        let config = TunnelConfig {
            interface: self.settings.interface.clone(),
            private_key: self.keys.held().present,
            listen_port: self.settings.listen_port,
            address: self.address,
            mtu: self.wanted_mtu(),
            lanes: self.settings.lanes(),
            stays: true,
            handshakes: Some(self.handshakes.clone()),
            sessions: Some(self.sessions.clone()),
        };
        let (table, mtu) = (snapshot.table.clone(), config.mtu);
        let started = tokio::task::spawn_blocking({
            let table = table.clone();
            move || Tunnel::start(config, table)
        });
        let tunnel = started.await.map_err(|error| error.to_string())?.map_err(|error| chain(&error))?;
        self.attach_filter(&table);
        self.follow_events(&tunnel);
        self.shared.store(Some(Arc::new(tunnel)));
        // It was made with one key; a rotation may be under way, or have ended meanwhile.
        self.keys.hand_over();
        self.in_force = Some(InForce { table, mtu });
        Ok(format!("made {} with {}", self.settings.interface, self.address))
    }

    fn attach_filter(&mut self, table: &PeerTable) {
        let unavailable = |reason: String| {
            info!(reason, "working without the wakeup filter");
            // Nor with that of an agent that was killed, on an interface that stayed.
            if let Err(problem) = WakeupFilter::remove_left(&self.settings.interface) {
                debug!(problem = chain(&problem), "no filter can be looked for");
            }
            Filter::Unavailable(reason)
        };
        if !self.settings.wakeup_filter {
            *self.filter.lock() = unavailable("switched off in the settings (tunnel.wakeup_filter)".to_owned());
            return;
        }
        *self.filter.lock() = match WakeupFilter::attach(MESH_WAKEUP, &self.settings.interface, table) {
            Ok(mut filter) => {
                match filter.take_wakes() {
                    Ok(Some(wakes)) => drop(tokio::spawn(drain(wakes))),
                    Ok(None) => {}
                    Err(problem) => warn!(%problem, "wake events cannot be read"),
                }
                Filter::Attached(Box::new(filter))
            }
            Err(problem) => unavailable(chain(&problem)),
        };
    }

    /// Hands the tunnel's events to whom they concern.
    fn follow_events(&self, tunnel: &Tunnel) {
        let mut events = tunnel.events();
        let links = self.links.clone();
        let filter = self.filter.clone();
        tokio::spawn(async move {
            while let Some(event) = events.recv().await {
                let change = match event {
                    TunnelEvent::SessionMade(server) => {
                        set_active(&filter, server, true);
                        continue;
                    }
                    TunnelEvent::SessionGone(server) => {
                        set_active(&filter, server, false);
                        LinkChange { server, link: None }
                    }
                    TunnelEvent::LinkChanged(server, link) => {
                        LinkChange { server, link: Some(LinkObservation { link, round_trip: None }) }
                    }
                };
                // Whoever listens may have ended before us.
                let _ = links.send(change);
            }
        });
    }

    fn update(&mut self, snapshot: &Snapshot, applied: &mut Applied) {
        let Some(tunnel) = self.shared.load_full() else { return };
        let wanted_mtu = self.wanted_mtu();
        let Some(in_force) = &mut self.in_force else { return };
        if !Arc::ptr_eq(&in_force.table, &snapshot.table) {
            // Known before routed: the filter must not drop the first packet to a peer that the tunnel knows.
            if let Filter::Attached(filter) = &mut *self.filter.lock() {
                let known = match snapshot.table.changes_since(&in_force.table) {
                    Some(changed) => filter.follow(&snapshot.table, changed),
                    None => filter.set_known(&snapshot.table),
                };
                if let Err(problem) = known {
                    applied.errors.push(chain(&problem));
                    return;
                }
            }
            tunnel.apply(snapshot.table.clone());
            in_force.table = snapshot.table.clone();
            applied.done.push(format!("went to revision {}", snapshot.table.revision()));
        }
        if in_force.mtu != wanted_mtu {
            match tunnel.set_mtu(wanted_mtu) {
                Ok(()) => {
                    in_force.mtu = wanted_mtu;
                    applied.done.push(format!("changed the MTU to {wanted_mtu}"));
                }
                Err(problem) => applied.errors.push(chain(&problem)),
            }
        }
    }
}

impl Executor for TunnelPart {
    const NAME: &'static str = "tunnel";

    async fn plan(&mut self, snapshot: &Arc<Snapshot>) -> Result<PlanView, String> {
        Ok(PlanView { steps: self.steps(snapshot), notes: Vec::new() })
    }

    async fn apply(&mut self, snapshot: &Arc<Snapshot>) -> Applied {
        let mut applied = Applied::default();
        self.follow_mtu().await;
        if self.in_force.is_none() {
            match self.start(snapshot).await {
                Ok(done) => applied.done.push(done),
                Err(problem) => applied.errors.push(problem),
            }
        } else {
            self.update(snapshot, &mut applied);
        }
        applied
    }

    /// The tunnel is the last to end: see `run`.
    async fn stop(&mut self) {
        self.in_force = None;
    }

    fn detail(&self) -> Detail {
        let (tunnel, filter, interface) = (self.shared.clone(), self.filter.clone(), self.settings.interface.clone());
        Arc::new(move || {
            let wakeup = match &*filter.lock() {
                Filter::Off => json!({ "attached": false, "reason": "the tunnel is not up yet" }),
                Filter::Unavailable(reason) => json!({ "attached": false, "reason": reason }),
                Filter::Attached(filter) => json!({ "attached": true, "counters": filter.counters().ok() }),
            };
            let tunnel = tunnel.load();
            let counters = tunnel.as_ref().map(|tunnel| json!(tunnel.counters()));
            let port = tunnel.as_ref().map(|tunnel| tunnel.port());
            json!({ "interface": interface, "port": port, "counters": counters, "wakeup": wakeup })
        })
    }
}

fn set_active(filter: &SharedFilter, server: MeshAddress, active: bool) {
    if let Filter::Attached(filter) = &mut *filter.lock()
        && let Err(problem) = filter.set_active(server, active)
    {
        warn!(problem = chain(&problem), %server, "the wakeup filter does not follow");
    }
}

/// The userspace tunnel makes a session by the packet itself; the event is counted in the kernel and needs no more.
async fn drain(mut wakes: Wakes) {
    while wakes.next().await.is_ok() {}
}
