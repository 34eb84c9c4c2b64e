//! Checks of a weighting plugin.

use std::sync::Arc;

use servos_mesh::{Service, Snapshot};
use servos_sandbox::Plugin;
use servos_sandbox::weighting::Candidate;

use crate::Check;
use crate::checks::{ask_all, ask_twice};
use crate::meshes;
use crate::subject::Subject;

/// All of them.
pub(crate) fn all(subject: &Subject<'_>) -> Vec<Check> {
    let ask = |plugin: &Plugin, asked: &Asked| plugin.weigh(&asked.mesh, asked.service(), &asked.candidates);
    let (few, many): (Vec<_>, Vec<_>) = asked().into_iter().partition(|asked| asked.candidates.len() < 100);
    vec![
        Check::new("weighs-every-service", ask_all(subject, &few, Asked::describe, ask)),
        Check::new("weighs-many-candidates", ask_all(subject, &many, Asked::describe, ask)),
        Check::new("weighs-alike", ask_twice(subject, &few, Asked::describe, ask)),
    ]
}

/// A service of a mesh, some of its instances, and the weights in force.
struct Asked {
    mesh: Arc<Snapshot>,
    /// Index of the service in the mesh's state.
    service: usize,
    candidates: Vec<Candidate>,
    weights: &'static str,
}

impl Asked {
    fn service(&self) -> &Service {
        &self.mesh.table.services()[self.service]
    }

    fn describe(&self) -> String {
        let name: String = self.service().name.as_str().chars().take(20).collect();
        format!("service {name}, {} candidates, {} in force", self.candidates.len(), self.weights)
    }
}

/// The weight in force of a candidate, by its place.
type InForce = fn(usize) -> Option<u16>;

/// Each service of each mesh with all of its instances, with the first alone, and with none; with no weights in force,
/// the lowest, the highest, and a mixture.
fn asked() -> Vec<Asked> {
    let in_force: [(&str, InForce); 4] = [
        ("no weights", |_| None),
        ("weights of 0", |_| Some(0)),
        ("weights of 1000", |_| Some(1_000)),
        ("mixed weights", |at| [None, Some(0), Some(1), Some(1_000)][at % 4]),
    ];
    let mut asked = Vec::new();
    for (_, mesh) in meshes::all() {
        for (service, found) in mesh.table.services().iter().enumerate() {
            for (weights, weight) in in_force {
                for count in [0, 1, found.instances.len()] {
                    let candidates = found.instances.iter().take(count).enumerate();
                    let candidates =
                        candidates.map(|(at, &instance)| Candidate { instance, current_weight: weight(at) }).collect();
                    asked.push(Asked { mesh: mesh.clone(), service, candidates, weights });
                }
            }
        }
    }
    asked
}
