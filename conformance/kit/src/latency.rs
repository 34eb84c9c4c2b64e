//! How long calls take: percentiles over many of them.

use std::fmt;
use std::time::Duration;

use serde::Serialize;

/// Nanoseconds of a call as the agent sees it, with what crosses to the plugin and back.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Latency {
    /// Calls that were measured.
    pub calls: usize,
    /// Half of the calls took no longer.
    pub p50_ns: u64,
    /// Nine of ten.
    pub p90_ns: u64,
    /// 99 of 100.
    pub p99_ns: u64,
    /// The longest.
    pub max_ns: u64,
}

impl Latency {
    /// Of calls that took so long, in any order; none if there are none.
    pub fn of(mut calls: Vec<Duration>) -> Option<Self> {
        calls.sort_unstable();
        let last = calls.len().checked_sub(1)?;
        // The nearest rank: a time that a call took, not one between two.
        let percentile = |percent: usize| {
            let rank = (calls.len() * percent).div_ceil(100).saturating_sub(1);
            u64::try_from(calls[rank.min(last)].as_nanos()).unwrap_or(u64::MAX)
        };
        Some(Self {
            calls: calls.len(),
            p50_ns: percentile(50),
            p90_ns: percentile(90),
            p99_ns: percentile(99),
            max_ns: percentile(100),
        })
    }

    /// Names and nanoseconds.
    pub(crate) fn figures(&self) -> [(&'static str, u64); 4] {
        [("p50_ns", self.p50_ns), ("p90_ns", self.p90_ns), ("p99_ns", self.p99_ns), ("max_ns", self.max_ns)]
    }
}

impl fmt::Display for Latency {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let micros = |nanoseconds: u64| nanoseconds as f64 / 1_000.0;
        write!(
            f,
            "{} calls, p50 {:.1} µs, p90 {:.1} µs, p99 {:.1} µs, max {:.1} µs",
            self.calls,
            micros(self.p50_ns),
            micros(self.p90_ns),
            micros(self.p99_ns),
            micros(self.max_ns)
        )
    }
}
