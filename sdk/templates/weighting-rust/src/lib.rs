//! A weighting plugin for the servos mesh: what works has the operator's weight, less of it if it is slow.

use servos_plugin_sdk::weighting::{Candidate, Directory, Health, Link, Service, Weighting};

/// The plugin. It is the `[settings]` table of its file.
#[derive(serde::Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct MyPlugin {
    /// Microseconds of a round trip beyond which an instance is slow.
    pub slow_us: u64,
}

impl Default for MyPlugin {
    fn default() -> Self {
        Self { slow_us: 20_000 }
    }
}

impl Weighting for MyPlugin {
    fn weigh(&self, _mesh: &dyn Directory, _service: &Service, candidates: &[Candidate]) -> Vec<u16> {
        candidates.iter().map(|candidate| self.weight(candidate)).collect()
    }
}

impl MyPlugin {
    fn weight(&self, candidate: &Candidate) -> u16 {
        let instance = &candidate.instance;
        if instance.health == Health::Unhealthy || instance.link == Link::Down || instance.weight_hint == 0 {
            return 0;
        }
        let slow = instance.round_trip.is_some_and(|taken| taken.as_micros() > u128::from(self.slow_us));
        if slow { instance.weight_hint.div_ceil(2) } else { instance.weight_hint }
    }
}

servos_plugin_sdk::weighting_plugin!(MyPlugin);
