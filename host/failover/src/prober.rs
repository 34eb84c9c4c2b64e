//! Probes for ever, each instance at its own pace, and tells when a verdict changes.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use rand::Rng;
use servos_mesh::{InstanceKey, InstanceObservation, Link, Proxy, Snapshot};
use tokio::sync::{mpsc, watch};
use tokio::task::AbortHandle;

use crate::limits::PROXY_INTERVAL;
use crate::probe::probe;
use crate::proxy;
use crate::settings::{FailoverSettings, TraefikMode};
use crate::targets::{Target, targets};
use crate::verdict::{Thresholds, Verdict};

/// What the probes see.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProbeView {
    /// Of instances of failover services.
    pub instances: HashMap<InstanceKey, InstanceObservation>,
    /// None while Traefik does not listen, or does not read our file.
    pub proxy: Option<Proxy>,
}

/// The running probes. They end when it is dropped.
#[derive(Debug)]
pub struct Prober {
    view: watch::Receiver<Arc<ProbeView>>,
    task: AbortHandle,
}

impl Prober {
    /// Starts probing what the snapshots name. Within a tokio runtime.
    pub fn start(settings: FailoverSettings, snapshots: watch::Receiver<Arc<Snapshot>>) -> Self {
        let (out, view) = watch::channel(Arc::default());
        let (results_in, results) = mpsc::channel(256);
        let probing = Probing { settings, snapshots, out, results_in, results, probed: HashMap::new(), proxy: None };
        Self { view, task: tokio::spawn(probing.run()).abort_handle() }
    }

    /// What the probes see; turns when a verdict, the flaps, the proxy, or a round trip by more than a quarter changed.
    pub fn view(&self) -> watch::Receiver<Arc<ProbeView>> {
        self.view.clone()
    }
}

impl Drop for Prober {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Probed {
    target: Target,
    verdict: Verdict,
    task: AbortHandle,
}

impl Drop for Probed {
    fn drop(&mut self) {
        self.task.abort();
    }
}

struct Probing {
    settings: FailoverSettings,
    snapshots: watch::Receiver<Arc<Snapshot>>,
    out: watch::Sender<Arc<ProbeView>>,
    results_in: mpsc::Sender<(InstanceKey, Option<Duration>)>,
    results: mpsc::Receiver<(InstanceKey, Option<Duration>)>,
    probed: HashMap<InstanceKey, Probed>,
    proxy: Option<Proxy>,
}

impl Probing {
    async fn run(mut self) {
        let mut look = tokio::time::interval(PROXY_INTERVAL);
        look.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        self.follow();
        loop {
            let changed = tokio::select! {
                changed = self.snapshots.changed() => match changed {
                    Ok(()) => self.follow(),
                    Err(_) => return,
                },
                Some((key, passed)) = self.results.recv() => self.take(&key, passed),
                _ = look.tick() => self.look_for_proxy().await,
            };
            if changed {
                self.tell();
            }
        }
    }

    /// Goes from the targets of before to those of the snapshot; unchanged ones keep their history.
    fn follow(&mut self) -> bool {
        let snapshot = self.snapshots.borrow_and_update().clone();
        let wanted = targets(&snapshot, &self.settings);
        let before = self.probed.len();
        self.probed.retain(|key, probed| wanted.get(key) == Some(&probed.target));
        let mut changed = self.probed.len() != before;
        for (key, target) in wanted {
            if self.probed.contains_key(&key) {
                continue;
            }
            let task = tokio::spawn(repeat(key.clone(), target.clone(), self.results_in.clone())).abort_handle();
            self.probed.insert(key, Probed { target, verdict: Verdict::new(Instant::now()), task });
            changed = true;
        }
        // The tunnel may know before the next probe does.
        let cut_off = |key: &InstanceKey| snapshot.link(key.server).link == Link::Down;
        let down: Vec<_> = self.probed.keys().filter(|key| cut_off(key)).cloned().collect();
        for key in down {
            changed |= self.take(&key, None);
        }
        changed
    }

    fn take(&mut self, key: &InstanceKey, passed: Option<Duration>) -> bool {
        let thresholds =
            Thresholds { unhealthy_after: self.settings.unhealthy_after, healthy_after: self.settings.healthy_after };
        // A result may come late, for an instance that is gone.
        let Some(probed) = self.probed.get_mut(key) else { return false };
        probed.verdict.observe(Instant::now(), passed, thresholds)
    }

    async fn look_for_proxy(&mut self) -> bool {
        let own = self.snapshots.borrow().table.own().map(|own| own.address());
        let found = match own {
            Some(own) if self.settings.traefik == TraefikMode::Auto => {
                proxy::look(own, &self.settings.entry_points).await
            }
            _ => None,
        };
        std::mem::replace(&mut self.proxy, found.clone()) != found
    }

    fn tell(&self) {
        let now = Instant::now();
        let instances = self.probed.iter().map(|(key, probed)| (key.clone(), probed.verdict.observation(now)));
        let view = ProbeView { instances: instances.collect(), proxy: self.proxy.clone() };
        self.out.send_if_modified(|told| {
            let differs = **told != view;
            if differs {
                *told = Arc::new(view);
            }
            differs
        });
    }
}

/// Probes one instance until nobody wants to know.
async fn repeat(key: InstanceKey, target: Target, results: mpsc::Sender<(InstanceKey, Option<Duration>)>) {
    loop {
        let began = tokio::time::Instant::now();
        let passed = probe(&target).await;
        if results.send((key.clone(), passed)).await.is_err() {
            return;
        }
        // Never in step with other servers.
        let pause = target.interval.mul_f64(rand::rng().random_range(0.9..=1.1));
        tokio::time::sleep_until(began + pause).await;
    }
}
