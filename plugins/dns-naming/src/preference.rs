//! Which instances are answered, and in which order: the first is what most clients take.

use std::time::Duration;

use servos_plugin_sdk::naming::{Health, Instance, Link};

/// Instances that may work, the best first: this server's own, then by health, link and round trip, then by name. If
/// none may work, all: a wrong verdict of ours must not take a name away.
pub(crate) fn usable_first(mut instances: Vec<Instance>, prefer_local: bool) -> Vec<Instance> {
    if instances.iter().any(is_usable) {
        instances.retain(is_usable);
    }
    instances.sort_by(|a, b| rank(a, prefer_local).cmp(&rank(b, prefer_local)));
    instances
}

/// Whether two instances are as good as each other, but for their distance.
pub(crate) fn equal(a: &Instance, b: &Instance, prefer_local: bool) -> bool {
    grade(a, prefer_local) == grade(b, prefer_local)
}

/// What was never probed may work. A weight of 0 is the operator's way to take an instance out.
fn is_usable(instance: &Instance) -> bool {
    instance.health != Health::Unhealthy && instance.link != Link::Down && instance.weight_hint > 0
}

fn rank(instance: &Instance, prefer_local: bool) -> ((bool, u8, u8), Duration, &str, u16) {
    let here = if instance.link == Link::Local { Duration::ZERO } else { Duration::MAX };
    let round_trip = instance.round_trip.unwrap_or(here);
    (grade(instance, prefer_local), round_trip, &instance.server.name, instance.port)
}

fn grade(instance: &Instance, prefer_local: bool) -> (bool, u8, u8) {
    let health = match instance.health {
        Health::Healthy => 0,
        Health::Unknown => 1,
        Health::Unhealthy => 2,
    };
    let link = match instance.link {
        Link::Local | Link::Up => 0,
        Link::Idle => 1,
        Link::Down => 2,
    };
    (prefer_local && instance.link != Link::Local, health, link)
}
