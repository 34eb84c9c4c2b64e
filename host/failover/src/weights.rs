//! Weights in force: asked of the weighting plugins, kept between rounds.

use std::collections::HashMap;
use std::sync::Arc;

use servos_mesh::{Health, Instance, InstanceKey, Link, Service, Snapshot};
use servos_sandbox::PluginHost;
use servos_sandbox::weighting::Candidate;

use crate::limits::MAX_SERVERS;

/// Who is asked for weights; the plugins, or a test's double.
pub trait Weigh {
    /// One weight a candidate; none if nobody could answer.
    fn weigh(&self, snapshot: &Arc<Snapshot>, service: &Service, candidates: &[Candidate]) -> Option<Vec<u16>>;
}

impl Weigh for PluginHost {
    fn weigh(&self, snapshot: &Arc<Snapshot>, service: &Service, candidates: &[Candidate]) -> Option<Vec<u16>> {
        PluginHost::weigh(self, snapshot, service, candidates)
    }
}

/// The weights of all failover services.
#[derive(Clone, Debug, Default)]
pub struct Weights {
    in_force: HashMap<InstanceKey, u16>,
}

impl Weights {
    /// The weights that follow from these: asks for each failover service. Blocking. Where nobody answers, the last
    /// weights stay; an instance that has none takes its hint while it may work.
    pub fn next(&self, snapshot: &Arc<Snapshot>, weigh: &dyn Weigh) -> Self {
        let mut next = Self::default();
        for service in snapshot.table.services().iter().filter(|service| service.mesh_failover) {
            let instances = &service.instances[..service.instances.len().min(MAX_SERVERS)];
            let key = |instance: &Instance| key(service, instance);
            let current = |instance: &Instance| self.in_force.get(&key(instance)).copied();
            let candidates: Vec<_> = instances
                .iter()
                .map(|instance| Candidate { instance: *instance, current_weight: current(instance) })
                .collect();
            let weights = weigh.weigh(snapshot, service, &candidates).unwrap_or_else(|| {
                instances.iter().map(|i| current(i).unwrap_or_else(|| hint(snapshot, &key(i), i))).collect()
            });
            next.in_force.extend(instances.iter().map(key).zip(weights));
        }
        next
    }

    /// The weight of an instance; 0 if it has none.
    pub fn of(&self, service: &Service, instance: &Instance) -> u16 {
        self.in_force.get(&key(service, instance)).copied().unwrap_or(0)
    }

    /// Whether an instance that is healthy takes no traffic yet: look again soon, its time will come.
    pub fn somebody_waits(&self, snapshot: &Snapshot) -> bool {
        let healthy = |key: &InstanceKey| snapshot.instance(key).is_some_and(|seen| seen.health == Health::Healthy);
        self.in_force.iter().any(|(key, &weight)| weight == 0 && healthy(key))
    }
}

fn hint(snapshot: &Snapshot, key: &InstanceKey, instance: &Instance) -> u16 {
    let unhealthy = snapshot.instance(key).is_some_and(|seen| seen.health == Health::Unhealthy);
    if unhealthy || snapshot.link(key.server).link == Link::Down { 0 } else { instance.weight() }
}

fn key(service: &Service, instance: &Instance) -> InstanceKey {
    InstanceKey { service: service.name.clone(), server: instance.server(), port: instance.port() }
}
