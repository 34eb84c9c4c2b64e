//! Example plugin: traffic stays in the region of the server that sends it, as long as somebody works there.
//!
//! A server's region is the first part of its name: `fra` of `fra-web-1`. A service with the label `affinity` = `none` is
//! spread over all regions alike.

#[cfg(test)]
mod tests;

use servos_plugin_sdk::weighting::{Candidate, Directory, Health, Link, Service, Weighting};

/// The plugin.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
struct Region {
    /// Percent of its weight that an instance elsewhere keeps, 0 to 100.
    elsewhere_percent: u16,
}

impl Default for Region {
    fn default() -> Self {
        Self { elsewhere_percent: 5 }
    }
}

impl Weighting for Region {
    fn check(&self) -> Result<(), String> {
        match self.elsewhere_percent {
            0..=100 => Ok(()),
            other => Err(format!("elsewhere_percent = {other}: give 0 to 100")),
        }
    }

    fn weigh(&self, mesh: &dyn Directory, service: &Service, candidates: &[Candidate]) -> Vec<u16> {
        let home = mesh.this_server().name;
        let alike = service.labels.iter().any(|(key, value)| key == "affinity" && value == "none");
        let here = |candidate: &Candidate| region(&candidate.instance.server.name) == region(&home);
        let alike = alike || !candidates.iter().any(|candidate| works(candidate) && here(candidate));
        let weight = |candidate: &Candidate| match candidate.instance.weight_hint {
            _ if !works(candidate) => 0,
            hint if alike || here(candidate) => hint,
            hint => hint * self.elsewhere_percent / 100,
        };
        candidates.iter().map(weight).collect()
    }
}

fn region(name: &str) -> &str {
    name.split('-').next().unwrap_or(name)
}

/// One with the weight 0 was taken out by the operator.
fn works(Candidate { instance, .. }: &Candidate) -> bool {
    instance.weight_hint > 0 && instance.health != Health::Unhealthy && instance.link != Link::Down
}

servos_plugin_sdk::weighting_plugin!(Region);
