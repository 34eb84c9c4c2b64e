//! Example plugin: servers in maintenance get no traffic, unless nobody else works.

#[cfg(test)]
mod tests;

use servos_plugin_sdk::weighting::{Candidate, Directory, Health, Link, Service, Weighting};

/// The plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Drain {
    /// Names of the servers in maintenance.
    servers: Vec<String>,
}

impl Weighting for Drain {
    fn weigh(&self, _mesh: &dyn Directory, _service: &Service, candidates: &[Candidate]) -> Vec<u16> {
        let drained = |candidate: &Candidate| self.servers.contains(&candidate.instance.server.name);
        let other_works = candidates.iter().any(|candidate| working_hint(candidate) > 0 && !drained(candidate));
        let weight = |candidate: &Candidate| match other_works && drained(candidate) {
            true => 0,
            false => working_hint(candidate),
        };
        candidates.iter().map(weight).collect()
    }
}

/// The operator's weight; 0 for an instance that does not work.
fn working_hint(Candidate { instance, .. }: &Candidate) -> u16 {
    let works = instance.health != Health::Unhealthy && instance.link != Link::Down;
    if works { instance.weight_hint } else { 0 }
}

servos_plugin_sdk::weighting_plugin!(Drain);
