//! The `[failover]` table of `agent.toml`.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use serde::{Deserialize, Deserializer};

use crate::Thresholds;

/// How traffic of failover services is handled.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct FailoverSettings {
    /// Whether Traefik's file is written.
    pub traefik: TraefikMode,
    /// The file; its folder must be one that Traefik watches.
    pub file: PathBuf,
    /// Traefik's entry points: name and port.
    pub entry_points: BTreeMap<String, u16>,
    /// Between two probes, where the service has no health check.
    #[serde(deserialize_with = "duration")]
    pub probe_interval: Duration,
    /// After which a probe has failed, where the service has no health check.
    #[serde(deserialize_with = "duration")]
    pub probe_timeout: Duration,
    /// Failed probes in a row that make an instance unhealthy.
    pub unhealthy_after: u32,
    /// Passed probes in a row that make it healthy again.
    pub healthy_after: u32,
}

/// Whether Traefik's file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum TraefikMode {
    /// As soon as there is a failover service.
    #[default]
    Auto,
    /// Never.
    Off,
}

impl Default for FailoverSettings {
    fn default() -> Self {
        let Thresholds { unhealthy_after, healthy_after } = Thresholds::default();
        Self {
            traefik: TraefikMode::Auto,
            file: "/etc/traefik/dynamic/servos-mesh.yml".into(),
            entry_points: BTreeMap::from([("web".to_owned(), 80)]),
            probe_interval: Duration::from_millis(500),
            probe_timeout: Duration::from_millis(400),
            unhealthy_after,
            healthy_after,
        }
    }
}

/// A duration as people write it, from 50 ms to an hour.
fn duration<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Duration, D::Error> {
    let text = String::deserialize(deserializer)?;
    let wrong = |why: String| serde::de::Error::custom(format!("{text:?}: {why}"));
    let duration = humantime::parse_duration(&text).map_err(|error| wrong(error.to_string()))?;
    if !(Duration::from_millis(50)..=Duration::from_secs(3_600)).contains(&duration) {
        return Err(wrong("give 50ms to 1h".to_owned()));
    }
    Ok(duration)
}
