//! Default weighting plugin: weights from hints, health and round trip, steady under flapping.

mod settings;

use std::time::Duration;

use servos_plugin_sdk::weighting::{Candidate, Directory, Health, Instance, Link, Service, Weighting};

pub use settings::TraefikFailover;

servos_plugin_sdk::weighting_plugin!(TraefikFailover);

impl Weighting for TraefikFailover {
    fn check(&self) -> Result<(), String> {
        self.check_ranges()
    }

    fn weigh(&self, _mesh: &dyn Directory, _service: &Service, candidates: &[Candidate]) -> Vec<u16> {
        let standings: Vec<_> = candidates.iter().map(|candidate| self.standing(candidate)).collect();
        let best = standings.iter().max().copied().unwrap_or(Standing::Drained);
        let takers = || candidates.iter().zip(&standings).filter(|(_, standing)| **standing == best);
        let nearest = takers().filter_map(|(candidate, _)| round_trip(&candidate.instance)).min();
        let weight = |(candidate, &standing): (&Candidate, &Standing)| match standing {
            _ if standing != best => 0,
            // Nobody works: a wrong verdict of ours must not turn a service off.
            Standing::Out | Standing::Drained => candidate.instance.weight_hint,
            Standing::Returning | Standing::In => {
                self.steady(candidate, self.by_distance(&candidate.instance, nearest))
            }
        };
        candidates.iter().zip(&standings).map(weight).collect()
    }
}

/// What an instance may get. Those of the best standing that any has take all the traffic: one that has just returned
/// waits while others work, and is taken at once when none does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Standing {
    /// The operator gave it the weight 0.
    Drained,
    /// It fails, or its server does not answer.
    Out,
    /// It works again, and has not held for long enough.
    Returning,
    /// It works.
    In,
}

impl TraefikFailover {
    /// Out at once when it fails; in again only when it has held for a while, the longer the more it flapped.
    fn standing(&self, candidate: &Candidate) -> Standing {
        let instance = &candidate.instance;
        if instance.weight_hint == 0 {
            return Standing::Drained;
        }
        if instance.health == Health::Unhealthy || instance.link == Link::Down {
            return Standing::Out;
        }
        let returns = candidate.current_weight == Some(0) && instance.health == Health::Healthy;
        if returns && instance.health_age < self.recovery(instance.flaps) { Standing::Returning } else { Standing::In }
    }

    /// How long an instance must hold before it is in again: doubled for each failure and return after the first.
    fn recovery(&self, flaps: u32) -> Duration {
        let doublings = (flaps / 2).saturating_sub(1).min(self.max_doublings);
        Duration::from_millis(self.recovery_ms).saturating_mul(1 << doublings)
    }

    /// The hint, less for an instance that is farther than the nearest; never less than the share that is left to it,
    /// nor than 1.
    fn by_distance(&self, instance: &Instance, nearest: Option<Duration>) -> u16 {
        let hint = instance.weight_hint;
        let (Some(nearest), Some(own)) = (nearest, round_trip(instance)) else { return hint };
        let near = nearest + Duration::from_micros(self.near_us);
        if own <= near {
            return hint;
        }
        let ratio = near.as_secs_f64() / own.as_secs_f64();
        let share = ratio.max(f64::from(self.far_share_percent) / 100.0);
        ((f64::from(hint) * share).round() as u16).max(1)
    }

    /// A small change by distance is none: each change makes Traefik load its file anew. The operator's own weight is
    /// never too small a change, and nothing exceeds it.
    fn steady(&self, candidate: &Candidate, wanted: u16) -> u16 {
        let hint = candidate.instance.weight_hint;
        let Some(current) = candidate.current_weight.filter(|current| (1..=hint).contains(current)) else {
            return wanted;
        };
        let small = u32::from(current.abs_diff(wanted)) * 100 < u32::from(current) * u32::from(self.band_percent);
        if small && wanted != hint { current } else { wanted }
    }
}

/// This server's own instance is nearest, measured or not.
fn round_trip(instance: &Instance) -> Option<Duration> {
    instance.round_trip.or((instance.link == Link::Local).then_some(Duration::ZERO))
}
