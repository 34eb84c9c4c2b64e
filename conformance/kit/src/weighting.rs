//! What a weighting plugin is asked.

use std::sync::Arc;

use servos_mesh::{Health, InstanceKey, Link, Service, Snapshot};
use servos_sandbox::weighting::Candidate;
use servos_sandbox::{Fault, Plugin, Unanswered};

use crate::exam::{self, Question, Series};
use crate::findings::Findings;
use crate::limits::LARGE_SERVICE;
use crate::meshes::{LARGE, MESHES};
use crate::subject::{Subject, Time};
use crate::{CheckId, faults};

/// A service of a mesh, some of its instances, and the weights in force.
pub(crate) struct Asked {
    mesh: Arc<Snapshot>,
    /// Index of the service in the mesh's state.
    service: usize,
    candidates: Vec<Candidate>,
    weights: &'static str,
}

/// The weight in force of a candidate, by its place.
type InForce = fn(usize) -> Option<u16>;

/// Weights that may be in force.
const IN_FORCE: [(&str, InForce); 4] = [
    ("no weights", |_| None),
    ("weights of 0", |_| Some(0)),
    ("weights of 1000", |_| Some(1_000)),
    ("mixed weights", |at| [None, Some(0), Some(1), Some(1_000)][at % 4]),
];

/// Each service of the small mesh with all of its instances, with the first alone, and with none; with no weights in
/// force, the lowest, the highest, and a mixture.
pub(crate) fn everyday() -> Vec<Asked> {
    let mesh = &MESHES.small;
    let mut asked = Vec::new();
    for (service, found) in mesh.table.services().iter().enumerate() {
        for in_force in IN_FORCE {
            for count in [0, 1, found.instances.len()] {
                asked.push(Asked::new(mesh, service, count, in_force));
            }
        }
    }
    asked
}

/// The largest service, in part and whole. Beyond [`LARGE_SERVICE`] it is a matter of how fast the plugin's language is,
/// which its author should know, and may mend with larger limits.
pub(crate) fn large_services(subject: &Subject<'_>, findings: &mut Findings) {
    let mesh = &MESHES.large;
    let services = mesh.table.services();
    let Some(service) = services.iter().position(|service| service.name.as_str() == LARGE) else { return };
    let all = services[service].instances.len();
    let mut series = Series::new(subject, Time::Present);
    for count in [LARGE_SERVICE, all] {
        let asked = Asked::new(mesh, service, count, IN_FORCE[3]);
        match series.try_ask(&asked, findings) {
            None => return,
            Some(Ok(weights)) => {
                for (check, problem) in asked.objections(&weights) {
                    findings.fault(check, format!("{}: {problem}", asked.describe()));
                }
                findings.seen(CheckId::LargeServices, format!("{count} candidates are weighed"));
            }
            Some(Err(fault @ (Fault::Deadline(_) | Fault::Memory { .. }))) => {
                let problem = format!("{}: {fault}; [limits] of its file may be larger", asked.describe());
                match count == all {
                    true => findings.warn(CheckId::LargeServices, problem),
                    false => findings.fault(CheckId::LargeServices, problem),
                }
                return;
            }
            Some(Err(fault)) => {
                findings.fault(faults::of_call(&fault), format!("{}: {fault}", asked.describe()));
                return;
            }
        }
    }
}

impl exam::Question for Asked {
    type Answer = Vec<u16>;

    fn ask(&self, plugin: &Plugin) -> Result<Vec<u16>, Unanswered> {
        plugin.weigh(&self.mesh, self.service(), &self.candidates)
    }

    fn describe(&self) -> String {
        let name: String = self.service().name.as_str().chars().take(20).collect();
        format!("service {name}, {} candidates, {} in force", self.candidates.len(), self.weights)
    }

    fn objections(&self, weights: &Vec<u16>) -> Vec<(CheckId, String)> {
        let mut working = self.candidates.iter().zip(weights).filter(|(candidate, _)| self.works(candidate)).peekable();
        if working.peek().is_none() || working.any(|(_, &weight)| weight > 0) {
            return Vec::new();
        }
        vec![(CheckId::WeightOfHealthy, "all that work have the weight 0".to_owned())]
    }
}

impl Asked {
    /// The first `count` instances of the service.
    fn new(mesh: &Arc<Snapshot>, service: usize, count: usize, (weights, weight): (&'static str, InForce)) -> Self {
        let instances = mesh.table.services()[service].instances.iter().take(count).enumerate();
        let candidates = instances.map(|(at, &instance)| Candidate { instance, current_weight: weight(at) }).collect();
        Self { mesh: mesh.clone(), service, candidates, weights }
    }

    fn service(&self) -> &Service {
        &self.mesh.table.services()[self.service]
    }

    /// Probes answer, the way is not known to be shut, and the operator has not taken it out.
    fn works(&self, candidate: &Candidate) -> bool {
        let (server, port) = (candidate.instance.server(), candidate.instance.port());
        let key = InstanceKey { service: self.service().name.clone(), server, port };
        let healthy = self.mesh.instance(&key).is_some_and(|seen| seen.health == Health::Healthy);
        healthy && self.mesh.link(server).link != Link::Down && candidate.instance.weight() > 0
    }
}
