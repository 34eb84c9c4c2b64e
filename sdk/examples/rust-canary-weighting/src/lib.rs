//! Example plugin: a few servers, where the next version of a service runs, get a set share of its traffic.

#[cfg(test)]
mod tests;

use servos_plugin_sdk::weighting::{Candidate, Directory, Health, Link, Service, Weighting};

/// The plugin.
#[derive(serde::Deserialize)]
#[serde(deny_unknown_fields)]
struct Canary {
    /// The servers of the next version.
    servers: Vec<String>,
    /// Percent of the traffic that they get together, 0 to 100.
    percent: u8,
}

impl Weighting for Canary {
    fn check(&self) -> Result<(), String> {
        match self.percent {
            0..=100 => Ok(()),
            other => Err(format!("percent = {other}: give 0 to 100")),
        }
    }

    fn weigh(&self, _mesh: &dyn Directory, _service: &Service, candidates: &[Candidate]) -> Vec<u16> {
        let total = |canary: bool| -> u32 {
            let group = candidates.iter().filter(|candidate| self.is_canary(candidate) == canary);
            group.map(|candidate| u32::from(working_hint(candidate))).sum()
        };
        let (canaries, others) = (total(true), total(false));
        let percent = u32::from(self.percent);
        let weight = |candidate: &Candidate| match (working_hint(candidate), self.is_canary(candidate)) {
            (0, _) => 0,
            // With one group alone there is nothing to share.
            (hint, _) if canaries == 0 || others == 0 => hint,
            (hint, true) => part(hint, percent, canaries),
            (hint, false) => part(hint, 100 - percent, others),
        };
        candidates.iter().map(weight).collect()
    }
}

impl Canary {
    fn is_canary(&self, candidate: &Candidate) -> bool {
        self.servers.contains(&candidate.instance.server.name)
    }
}

/// Its part of a group's share, in thousandths of the whole; at least 1 of a share that is not empty.
fn part(hint: u16, percent: u32, group: u32) -> u16 {
    (u32::from(hint) * percent * 10 / group).max(percent.min(1)) as u16
}

/// The operator's weight; 0 for an instance that does not work.
fn working_hint(Candidate { instance, .. }: &Candidate) -> u16 {
    let works = instance.health != Health::Unhealthy && instance.link != Link::Down;
    if works { instance.weight_hint } else { 0 }
}

servos_plugin_sdk::weighting_plugin!(Canary);
