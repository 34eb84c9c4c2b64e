//! Failover's executor: asks the weighting plugins, and has Traefik's file brought to what they say.

use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use serde_json::{Value, json};
use servos_failover::{
    DynamicFile, FailoverSettings, ProbeView, Prober, TraefikMode, Weights, dynamic_file, remove, would_change,
    write_if_changed,
};
use servos_mesh::{Health, Snapshot};
use servos_sandbox::PluginHost;
use tokio::sync::watch;

use crate::error_chain::chain;
use crate::executors::driver::{Applied, Detail, Executor, PlanView};
use crate::settings::Settings;

/// How soon it is looked again while a recovered instance waits to be let in.
const WAITING: Duration = Duration::from_millis(500);

/// See the module.
pub struct FailoverPart {
    settings: FailoverSettings,
    plugins: Arc<PluginHost>,
    prober: Prober,
    weights: Weights,
    seen: Arc<Mutex<Value>>,
}

impl FailoverPart {
    /// Probing begins at once; the file is not touched before the first round.
    pub fn new(settings: &Settings, plugins: Arc<PluginHost>, snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        let settings = settings.failover.clone();
        let prober = Prober::start(settings.clone(), snapshots);
        Self { settings, plugins, prober, weights: Weights::default(), seen: Arc::new(Mutex::new(Value::Null)) }
    }

    /// What the probes see.
    pub fn probes(&self) -> watch::Receiver<Arc<ProbeView>> {
        self.prober.view()
    }

    /// The weights and the file that follow from a snapshot.
    async fn wanted(&self, snapshot: &Arc<Snapshot>) -> Result<(Weights, DynamicFile), String> {
        // An instance's time comes without anything else changing: its age counts up to this moment.
        let snapshot = Arc::new(Snapshot { taken_at: Instant::now(), ..(**snapshot).clone() });
        let (plugins, before, entry_points) =
            (self.plugins.clone(), self.weights.clone(), self.settings.entry_points.clone());
        let asked = tokio::task::spawn_blocking(move || {
            let weights = before.next(&snapshot, &*plugins);
            let file = dynamic_file(&snapshot, &weights, &entry_points);
            (weights, file)
        });
        asked.await.map_err(|error| error.to_string())
    }

    /// Nothing to say and nothing said before: Traefik need not even be there.
    fn is_idle(&self, file: &DynamicFile) -> bool {
        self.settings.traefik == TraefikMode::Off || (file.services == 0 && !self.settings.file.exists())
    }
}

impl Executor for FailoverPart {
    const NAME: &'static str = "failover";

    async fn plan(&mut self, snapshot: &Arc<Snapshot>) -> Result<PlanView, String> {
        let (_, file) = self.wanted(snapshot).await?;
        let mut steps = Vec::new();
        if !self.is_idle(&file) && would_change(&self.settings.file, &file.content) {
            steps.push(format!("write {} with {} services", self.settings.file.display(), file.services));
        }
        Ok(PlanView { steps, notes: file.notes })
    }

    async fn apply(&mut self, snapshot: &Arc<Snapshot>) -> Applied {
        let (weights, file) = match self.wanted(snapshot).await {
            Ok(wanted) => wanted,
            Err(error) => return Applied { errors: vec![error], ..Applied::default() },
        };
        self.weights = weights;
        let mut applied = Applied { notes: file.notes.clone(), ..Applied::default() };
        if self.weights.somebody_waits(snapshot) {
            applied.again_in = Some(WAITING);
        }
        *self.seen.lock() = json!({
            "services": file.services,
            "proxy_listens": snapshot.observations.proxy.is_some(),
            "instances_probed": snapshot.observations.instances.len(),
            "instances_unhealthy":
                snapshot.observations.instances.values().filter(|seen| seen.health == Health::Unhealthy).count(),
        });
        if self.is_idle(&file) {
            return applied;
        }
        match write_if_changed(&self.settings.file, &file.content) {
            Ok(true) => applied.done.push(format!("wrote {}", self.settings.file.display())),
            Ok(false) => {}
            Err(error) => applied.errors.push(chain(&error)),
        }
        applied
    }

    /// The file stays: Traefik goes on with what is known.
    async fn stop(&mut self) {}

    fn detail(&self) -> Detail {
        let seen = self.seen.clone();
        Arc::new(move || seen.lock().clone())
    }
}

/// Removes Traefik's file. What could not be done comes back in words.
pub fn take_back(settings: &Settings) -> Vec<String> {
    remove(&settings.failover.file).err().map(|error| chain(&error)).into_iter().collect()
}
