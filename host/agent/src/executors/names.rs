//! The names' executor: the DNS server runs, and the host asks it.

use std::sync::Arc;

use parking_lot::Mutex;
use serde_json::{Value, json};
use servos_mesh::{MeshAddress, Snapshot};
use servos_names::{
    HostResolver, ListenerState, ListenerStatus, NameServer, NamesSettings, ResolverReport, ResolverWatch,
    restore_resolver,
};
use servos_sandbox::PluginHost;
use tokio::sync::watch;

use crate::error_chain::chain;
use crate::executors::driver::{Applied, Detail, Executor, PlanView};
use crate::identity::Identity;
use crate::settings::Settings;

/// See the module.
pub struct NamesPart {
    settings: NamesSettings,
    address: MeshAddress,
    plugins: Arc<PluginHost>,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    resolver: HostResolver,
    server: Arc<Mutex<Option<NameServer>>>,
    /// Applies again when systemd-resolved starts anew.
    resolved_watch: Option<ResolverWatch>,
    nudge: watch::Sender<u64>,
    seen: Arc<Mutex<Value>>,
}

impl NamesPart {
    /// Nothing is touched before the first round.
    pub fn new(
        settings: &Settings,
        identity: &Identity,
        plugins: Arc<PluginHost>,
        snapshots: watch::Receiver<Arc<Snapshot>>,
    ) -> Self {
        let names = settings.names.clone();
        let resolver = HostResolver::new(&names, &settings.tunnel.interface, identity.address);
        Self {
            settings: names,
            address: identity.address,
            plugins,
            snapshots,
            resolver,
            server: Arc::default(),
            resolved_watch: None,
            nudge: watch::Sender::new(0),
            seen: Arc::new(Mutex::new(Value::Null)),
        }
    }

    /// Turns whenever a listener comes or goes.
    pub fn nudges(&self) -> watch::Receiver<u64> {
        self.nudge.subscribe()
    }

    /// Starts the server, once; the host's former upstreams are found out before anything is changed.
    async fn start(&mut self, snapshot: &Arc<Snapshot>) -> Result<String, String> {
        let upstreams = self.resolver.upstreams(snapshot).await.map_err(|error| chain(&error))?;
        let done = format!("serving names, forwarding others to {upstreams:?}");
        let (plugins, snapshots) = (self.plugins.clone(), self.snapshots.clone());
        let server = NameServer::start(&self.settings, self.address, upstreams, plugins, snapshots).await;
        let (mut changes, nudge) = (server.listener_changes(), self.nudge.clone());
        tokio::spawn(async move {
            while changes.changed().await.is_ok() {
                nudge.send_modify(|count| *count += 1);
            }
        });
        *self.server.lock() = Some(server);
        self.resolved_watch = Some(self.resolver.watch());
        Ok(done)
    }

    /// Addresses on which the server does not listen, and why.
    fn silent_listeners(&self) -> Vec<String> {
        let server = self.server.lock();
        let listeners = server.as_ref().map(NameServer::listeners).unwrap_or_default();
        let why = |one: ListenerStatus| match one.state {
            ListenerState::Listening => None,
            ListenerState::Starting => Some(format!("not listening on {} yet", one.address)),
            ListenerState::Waiting(reason) => Some(format!("not listening on {}: {reason}", one.address)),
        };
        listeners.into_iter().filter_map(why).collect()
    }
}

impl Executor for NamesPart {
    const NAME: &'static str = "names";

    async fn plan(&mut self, snapshot: &Arc<Snapshot>) -> Result<PlanView, String> {
        let plan = self.resolver.plan(snapshot).await.map_err(|error| chain(&error))?;
        let mut notes = plan.notes;
        notes.extend(plan.problems);
        Ok(PlanView { steps: plan.steps.iter().map(ToString::to_string).collect(), notes })
    }

    async fn apply(&mut self, snapshot: &Arc<Snapshot>) -> Applied {
        let mut applied = Applied::default();
        if self.server.lock().is_none() {
            match self.start(snapshot).await {
                Ok(done) => applied.done.push(done),
                Err(error) => return Applied { errors: vec![error], ..applied },
            }
        }
        let report = self.resolver.apply(snapshot).await;
        let ResolverReport { in_charge, done, notes, problems, upstreams } = report;
        if let Some(server) = &*self.server.lock()
            && !upstreams.is_empty()
            && server.upstreams() != upstreams
        {
            server.set_upstreams(upstreams);
        }
        *self.seen.lock() = json!({ "resolver": in_charge });
        applied.done.extend(done.iter().map(ToString::to_string));
        applied.notes = notes;
        applied.errors = self.silent_listeners();
        applied.errors.extend(problems);
        applied
    }

    /// The host's resolver first: whoever asks in between must not find nobody.
    async fn stop(&mut self) {
        self.resolved_watch = None;
        self.resolver.restore().await;
        let server = self.server.lock().take();
        if let Some(server) = server {
            server.shutdown().await;
        }
    }

    fn detail(&self) -> Detail {
        let (server, seen) = (self.server.clone(), self.seen.clone());
        Arc::new(move || {
            let server = server.lock();
            let mut detail = seen.lock().clone();
            if let (Some(server), Value::Object(fields)) = (&*server, &mut detail) {
                fields.insert("counters".to_owned(), json!(server.counters()));
                fields.insert("listeners".to_owned(), json!(server.listeners()));
                fields.insert("upstreams".to_owned(), json!(server.upstreams()));
            }
            detail
        })
    }
}

/// Puts the host's resolver back. What could not be done comes back in words.
pub async fn take_back(settings: &Settings) -> Vec<String> {
    restore_resolver(&settings.names, &settings.tunnel.interface).await.problems
}
