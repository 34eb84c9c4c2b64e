//! Example plugin: weights change by steps, so that no instance gets all of its traffic at once. One that fails is out at
//! once. An agent asks for weights when something changed, and each minute.

#[cfg(test)]
mod tests;

use servos_plugin_sdk::weighting::{Candidate, Directory, Health, Link, Service, Weighting};

/// The plugin.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Gradual {
    /// What a weight may change by each time that weights are asked for, 1 to 1,000.
    step: u16,
}

impl Default for Gradual {
    fn default() -> Self {
        Self { step: 10 }
    }
}

impl Weighting for Gradual {
    fn check(&self) -> Result<(), String> {
        match self.step {
            1..=1_000 => Ok(()),
            other => Err(format!("step = {other}: give 1 to 1000")),
        }
    }

    fn weigh(&self, _mesh: &dyn Directory, _service: &Service, candidates: &[Candidate]) -> Vec<u16> {
        // Of none a weight is in force: the agent has just started, and traffic is where it is.
        let starts = candidates.iter().all(|candidate| candidate.current_weight.is_none());
        let weight = |candidate: &Candidate| match (working_hint(candidate), candidate.current_weight) {
            (0, _) => 0,
            (wanted, None) if starts => wanted,
            (wanted, None) => wanted.min(self.step),
            (wanted, Some(current)) => {
                wanted.clamp(current.saturating_sub(self.step).max(1), current.saturating_add(self.step))
            }
        };
        candidates.iter().map(weight).collect()
    }
}

/// The operator's weight; 0 for an instance that does not work.
fn working_hint(Candidate { instance, .. }: &Candidate) -> u16 {
    let works = instance.health != Health::Unhealthy && instance.link != Link::Down;
    if works { instance.weight_hint } else { 0 }
}

servos_plugin_sdk::weighting_plugin!(Gradual);
