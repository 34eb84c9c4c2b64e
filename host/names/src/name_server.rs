//! `NameServer`: the DNS server of this host, on loopback and on the mesh address.

use std::net::{SocketAddr, SocketAddrV4};
use std::sync::Arc;

use servos_mesh::{MeshAddress, Snapshot};
use tokio::sync::watch;
use tokio::task::JoinSet;

use crate::clients::Clients;
use crate::counters::Counters;
use crate::forwarder::Forwarder;
use crate::handler::Handler;
use crate::listener::{self, ListenerState, ListenerStatus};
use crate::plugin_answers::PluginAnswers;
use crate::{NameCounters, NamesSettings, Resolve};

/// Port of DNS; `resolv.conf` knows no other.
const PORT: u16 = 53;

/// A running DNS server. Ends when dropped.
pub struct NameServer {
    forwarder: Arc<Forwarder>,
    counters: Arc<Counters>,
    statuses: watch::Receiver<Vec<ListenerStatus>>,
    stop: watch::Sender<bool>,
    listeners: JoinSet<()>,
}

impl NameServer {
    /// Starts to listen on the loopback address of the settings and on `address`, port 53, UDP and TCP. Comes back when
    /// each was tried once; one that could not be bound is tried again for ever, and [`listeners`](Self::listeners) says
    /// why. `upstreams`: where names are forwarded to that are not the mesh's, best first.
    pub async fn start(
        settings: &NamesSettings,
        address: MeshAddress,
        upstreams: Vec<SocketAddr>,
        plugins: Arc<dyn Resolve>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        let counters = Arc::new(Counters::default());
        let forwarder = Arc::new(Forwarder::new(upstreams));
        let clients = Clients::new(address, settings.clients.clone());
        let answers = PluginAnswers::new(settings, plugins, snapshots, counters.clone());
        let handler = Handler::new(clients, answers, forwarder.clone(), counters.clone());

        let addresses = [settings.loopback, address.ipv4()].map(|ip| SocketAddrV4::new(ip, PORT));
        let starting = addresses.map(|address| ListenerStatus { address, state: ListenerState::Starting });
        let (statuses_out, mut statuses) = watch::channel(starting.to_vec());
        let (stop, stopped) = watch::channel(false);
        let mut listeners = JoinSet::new();
        for (place, address) in addresses.into_iter().enumerate() {
            let (statuses, stopped) = (statuses_out.clone(), stopped.clone());
            listeners.spawn(listener::serve(address, handler.clone(), place, statuses, stopped));
        }
        let tried = |all: &Vec<ListenerStatus>| all.iter().all(|one| one.state != ListenerState::Starting);
        // The listeners hold the other end for as long as they run.
        let _ = statuses.wait_for(tried).await;
        Self { forwarder, counters, statuses, stop, listeners }
    }

    /// The addresses, and whether it listens there.
    pub fn listeners(&self) -> Vec<ListenerStatus> {
        self.statuses.borrow().clone()
    }

    /// The same, to be waited on: a reason to look at the host's resolver again.
    pub fn listener_changes(&self) -> watch::Receiver<Vec<ListenerStatus>> {
        self.statuses.clone()
    }

    /// Takes other upstreams from the next question on.
    pub fn set_upstreams(&self, upstreams: Vec<SocketAddr>) {
        self.forwarder.set_upstreams(upstreams);
    }

    /// Where names are forwarded to.
    pub fn upstreams(&self) -> Vec<SocketAddr> {
        self.forwarder.upstreams()
    }

    /// What it did so far.
    pub fn counters(&self) -> NameCounters {
        self.counters.read()
    }

    /// Closes its sockets. What is under way is not answered: put the host's resolver back before.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        while self.listeners.join_next().await.is_some() {}
    }
}
