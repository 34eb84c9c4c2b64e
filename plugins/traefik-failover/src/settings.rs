//! The plugin is its settings.

use serde::Deserialize;

/// The plugin: `[plugins.settings.traefik-failover]` in `agent.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct TraefikFailover {
    /// Milliseconds that an instance must hold before it takes traffic again.
    pub recovery_ms: u64,
    /// How often that time is doubled at most, once for each further failure in the last ten minutes.
    pub max_doublings: u32,
    /// Microseconds by which an instance may be farther than the nearest without losing weight.
    pub near_us: u64,
    /// Percent of its weight that the farthest instance keeps.
    pub far_share_percent: u16,
    /// Percent of a weight by which distance must change it before it is changed. 0: any change counts.
    pub band_percent: u16,
}

impl Default for TraefikFailover {
    fn default() -> Self {
        Self { recovery_ms: 2_000, max_doublings: 5, near_us: 20_000, far_share_percent: 25, band_percent: 20 }
    }
}

impl TraefikFailover {
    pub(crate) fn check_ranges(&self) -> Result<(), String> {
        if self.recovery_ms > 600_000 || self.max_doublings > 10 {
            return Err("recovery_ms and max_doublings: give 600000 and 10 at most".to_owned());
        }
        if self.near_us > 10_000_000 {
            return Err(format!("near_us = {}: give 10000000 (10 s) at most", self.near_us));
        }
        if self.far_share_percent > 100 || self.band_percent > 100 {
            return Err("far_share_percent and band_percent: give 100 at most".to_owned());
        }
        Ok(())
    }
}
