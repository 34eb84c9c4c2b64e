//! The plugin is its settings.

use serde::Deserialize;

/// Seconds: what the host lets any plugin's answer be kept (`servos:plugin/types`, `answer`).
const MAX_TTL: u32 = 60;

/// The plugin: `[plugins.settings.dns-naming]` in `agent.toml`.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct DnsNaming {
    /// Seconds that an answer may be kept, at most 60: short, since instances come and go. The host may lower it further.
    pub ttl: u32,
    /// Most answers to one question, 1 to 64.
    pub max_answers: usize,
    /// Whether this server's own instance comes first.
    pub prefer_local: bool,
    /// Whether HTTP services with mesh failover answer with this server's proxy while it listens.
    pub proxy: bool,
}

impl Default for DnsNaming {
    fn default() -> Self {
        Self { ttl: 5, max_answers: 8, prefer_local: true, proxy: true }
    }
}

impl DnsNaming {
    pub(crate) fn check_ranges(&self) -> Result<(), String> {
        if !(1..=64).contains(&self.max_answers) {
            return Err(format!("max_answers = {}: give 1 to 64", self.max_answers));
        }
        if self.ttl > MAX_TTL {
            return Err(format!("ttl = {}: give {MAX_TTL} seconds at most: the host lowers it to that", self.ttl));
        }
        Ok(())
    }
}
