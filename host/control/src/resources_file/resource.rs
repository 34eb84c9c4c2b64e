//! One resource of a file: each field read and checked by itself, against the limits of the wire.

use std::collections::BTreeMap;

use serde_yaml_ng::Value;
use servos_mesh::limits::{DEFAULT_WEIGHT, MAX_INSTANCES, MAX_WEIGHT};
use servos_mesh::{DnsLabel, HealthCheck, HostName, Protocol, Service};

use super::fields::{self, Fields};
use super::path::Path;
use super::{Placement, Resource};
use crate::limits::{DEFAULT_HEALTH_INTERVAL, DEFAULT_HEALTH_TIMEOUT};

/// Reads a resource; none if so much is wrong that it has no name. What is wrong goes into `problems`; a resource with
/// problems is returned too, so that it can be checked further. With it, of each instance, its index in the list.
pub(super) fn read(value: &Value, place: &Path, problems: &mut Vec<(Path, String)>) -> Option<(Resource, Vec<usize>)> {
    let mut top = Fields::open(value, place.clone(), problems)?;
    let name = top.required("name", label);
    let protocol = top.required("protocol", protocol).unwrap_or(Protocol::Tcp);
    let port = top.required("port", port);
    let mesh_failover = top.optional("enable_mesh_failover", fields::truth).unwrap_or(false);
    let hosts = top.optional("hosts", fields::list("a list of host names")).unwrap_or_default();
    let labels = top.optional("labels", labels).unwrap_or_default();
    let health = top.optional("health_check", Ok);
    let instances = top.optional("instances", fields::list("a list, each `- { server: NAME, port: PORT }`"));
    let blank = blank_service(protocol)?;
    let labels_only = Service { labels: labels.clone(), ..blank.clone() };
    if let Err(problem) = wire(&labels_only) {
        top.problem("labels", problem);
    }
    top.finish();

    let hosts = read_hosts(&hosts, &place.key("hosts"), &blank, problems);
    let health_check = health.and_then(|value| read_health(value, &place.key("health_check"), &blank, problems));
    let (instances, listed) = read_instances(&instances.unwrap_or_default(), &place.key("instances"), problems);
    let service = Service { name: name?, port: port.unwrap_or(1), mesh_failover, hosts, labels, health_check, ..blank };
    Some((Resource { service, instances }, listed))
}

/// A service with nothing wrong, to check one part of another by itself.
fn blank_service(protocol: Protocol) -> Option<Service> {
    Some(Service {
        name: "resource".parse().ok()?,
        protocol,
        port: 1,
        mesh_failover: false,
        hosts: Vec::new(),
        labels: Vec::new(),
        health_check: None,
        instances: Vec::new(),
    })
}

/// What a reader of the wire would refuse.
fn wire(service: &Service) -> Result<(), String> {
    let name = service.name.as_str();
    service.check().map_err(|error| {
        let text = error.to_string();
        text.split_once(&format!("{name}: ")).map_or(text.clone(), |(_, problem)| problem.to_owned())
    })
}

fn label(value: &Value) -> Result<DnsLabel, String> {
    let problem = |error| format!("{error}: use a-z, 0-9 and '-', 63 at most");
    fields::text_of_scalar(value)?.parse().map_err(problem)
}

fn protocol(value: &Value) -> Result<Protocol, String> {
    match value.as_str() {
        Some("http") => Ok(Protocol::Http),
        Some("tcp") => Ok(Protocol::Tcp),
        Some("udp") => Ok(Protocol::Udp),
        _ => Err(format!("{} is no protocol: write http, tcp or udp", fields::render(value))),
    }
}

fn port(value: &Value) -> Result<u16, String> {
    fields::number(value, 1..=u16::MAX, "port")
}

fn weight(value: &Value) -> Result<u16, String> {
    fields::number(value, 0..=MAX_WEIGHT, "weight")
}

fn labels(value: &Value) -> Result<Vec<(String, String)>, String> {
    let Some(mapping) = value.as_mapping() else {
        return Err(format!("{} is no mapping: write `key: value`", fields::render(value)));
    };
    let mut labels = BTreeMap::new();
    for (key, value) in mapping {
        let key = fields::text_of_scalar(key)?;
        let value = fields::text_of_scalar(value).map_err(|problem| format!("{key}: {problem}"))?;
        labels.insert(key, value);
    }
    Ok(labels.into_iter().collect())
}

fn read_hosts(list: &[Value], place: &Path, blank: &Service, problems: &mut Vec<(Path, String)>) -> Vec<HostName> {
    let mut hosts: Vec<HostName> = Vec::new();
    for (index, value) in list.iter().enumerate() {
        let host = fields::text(value).and_then(|text| text.parse::<HostName>().map_err(|error| error.to_string()));
        match host {
            Err(problem) => problems.push((place.index(index), problem)),
            Ok(host) if hosts.contains(&host) => {
                problems.push((place.index(index), format!("{host} stands here twice: remove one")));
            }
            Ok(host) => hosts.push(host),
        }
    }
    if let Err(problem) = wire(&Service { hosts: hosts.clone(), ..blank.clone() }) {
        problems.push((place.clone(), problem));
    }
    hosts
}

fn read_health(
    value: &Value,
    place: &Path,
    blank: &Service,
    problems: &mut Vec<(Path, String)>,
) -> Option<HealthCheck> {
    let checked = |check: HealthCheck| wire(&Service { health_check: Some(check), ..blank.clone() });
    let default = HealthCheck { path: None, interval: DEFAULT_HEALTH_INTERVAL, timeout: DEFAULT_HEALTH_TIMEOUT };
    let mut top = Fields::open(value, place.clone(), problems)?;
    let protocol = blank.protocol;
    let path = top.optional("path", |value| {
        let path = fields::text(value)?;
        if protocol == Protocol::Udp {
            return Err("a udp resource has no path to ask for: remove it".to_owned());
        }
        checked(HealthCheck { path: Some(path.clone()), ..default.clone() })?;
        Ok(path)
    });
    let interval = top.optional("interval", |value| {
        let interval = fields::duration(value)?;
        checked(HealthCheck { interval, ..default.clone() })?;
        Ok(interval)
    });
    let timeout = top.optional("timeout", |value| {
        let timeout = fields::duration(value)?;
        checked(HealthCheck { timeout, ..default.clone() })?;
        Ok(timeout)
    });
    top.finish();
    Some(HealthCheck {
        path,
        interval: interval.unwrap_or(default.interval),
        timeout: timeout.unwrap_or(default.timeout),
    })
}

fn read_instances(list: &[Value], place: &Path, problems: &mut Vec<(Path, String)>) -> (Vec<Placement>, Vec<usize>) {
    if list.len() > MAX_INSTANCES {
        problems.push((place.clone(), format!("has more than {MAX_INSTANCES} instances: split the resource")));
        return Default::default();
    }
    let mut placed = BTreeMap::new();
    for (index, value) in list.iter().enumerate() {
        let here = place.index(index);
        let Some(mut top) = Fields::open(value, here.clone(), problems) else { continue };
        let server = top.required("server", label);
        let port = top.required("port", port);
        let weight = top.optional("weight", weight).unwrap_or(DEFAULT_WEIGHT);
        top.finish();
        let (Some(server), Some(port)) = (server, port) else { continue };
        if let Some((first, _)) = placed.get(&(server.clone(), port)) {
            let problem = format!("port {port} of {server} is instances[{first}] already: remove one");
            problems.push((here, problem));
            continue;
        }
        placed.insert((server, port), (index, weight));
    }
    placed.into_iter().map(|((server, port), (index, weight))| (Placement { server, port, weight }, index)).unzip()
}
