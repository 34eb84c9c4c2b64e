//! Decides from probes whether an instance is healthy: pure, time is handed in.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use servos_mesh::{Health, InstanceObservation};

use crate::limits::{FLAP_WINDOW, ROUND_TRIP_STEP, SMOOTHING};

/// How many probes in a row turn a verdict.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Thresholds {
    /// Failures that make an instance unhealthy.
    pub unhealthy_after: u32,
    /// Successes that make an unhealthy instance healthy.
    pub healthy_after: u32,
}

impl Default for Thresholds {
    /// One lost probe is an accident; two are what a server that is gone costs at most.
    fn default() -> Self {
        Self { unhealthy_after: 2, healthy_after: 2 }
    }
}

/// The verdict on one instance.
#[derive(Clone, Debug)]
pub struct Verdict {
    health: Health,
    changed_at: Instant,
    /// Probes in a row that speak against `health`.
    against: u32,
    /// When the verdict turned between healthy and unhealthy.
    turns: VecDeque<Instant>,
    round_trip: Option<Duration>,
    told_round_trip: Option<Duration>,
}

impl Verdict {
    /// Nothing is known yet.
    pub fn new(now: Instant) -> Self {
        let (health, turns) = (Health::Unknown, VecDeque::new());
        Self { health, changed_at: now, against: 0, turns, round_trip: None, told_round_trip: None }
    }

    /// Takes a probe's outcome: the time it took, or none if it failed. True if somebody should be told.
    pub fn observe(&mut self, now: Instant, passed: Option<Duration>, thresholds: Thresholds) -> bool {
        if let Some(time) = passed {
            self.smooth(time);
        }
        let (to, needed) = match (self.health, passed.is_some()) {
            (Health::Healthy, true) | (Health::Unhealthy, false) => {
                self.against = 0;
                return self.round_trip_moved();
            }
            (Health::Unknown, true) => (Health::Healthy, 1),
            (Health::Unhealthy, true) => (Health::Healthy, thresholds.healthy_after),
            (Health::Healthy | Health::Unknown, false) => (Health::Unhealthy, thresholds.unhealthy_after),
        };
        self.against += 1;
        if self.against < needed {
            return false;
        }
        if self.health != Health::Unknown {
            self.turns.push_back(now);
        }
        while self.turns.front().is_some_and(|&turn| now.duration_since(turn) > FLAP_WINDOW) {
            self.turns.pop_front();
        }
        self.health = to;
        self.changed_at = now;
        self.against = 0;
        self.told_round_trip = self.round_trip;
        true
    }

    /// What others are told.
    pub fn observation(&self, now: Instant) -> InstanceObservation {
        let flaps = self.turns.iter().filter(|&&turn| now.duration_since(turn) <= FLAP_WINDOW).count();
        InstanceObservation {
            health: self.health,
            changed_at: self.changed_at,
            flaps: flaps as u32,
            round_trip: self.told_round_trip,
        }
    }

    fn smooth(&mut self, time: Duration) {
        self.round_trip = Some(match self.round_trip {
            None => time,
            Some(before) => (before * (SMOOTHING - 1) + time) / SMOOTHING,
        });
    }

    fn round_trip_moved(&mut self) -> bool {
        let Some(now) = self.round_trip else { return false };
        let moved = self.told_round_trip.is_none_or(|told| now.abs_diff(told) * ROUND_TRIP_STEP > told);
        if moved {
            self.told_round_trip = Some(now);
        }
        moved
    }
}
