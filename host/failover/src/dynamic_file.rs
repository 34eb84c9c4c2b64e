//! Traefik's dynamic configuration: pure, the same snapshot and weights give the same bytes.
//!
//! Flat weighted servers with a retry and a passive check: of what Traefik offers, this loses the fewest requests when
//! a server dies. Instances without weight are left out, because every reload makes Traefik take all for healthy again.

use std::collections::BTreeMap;

use serde_json::{Map, Value, json};
use servos_mesh::{Instance, Protocol, Service, Snapshot};

use crate::limits::{DIAL_TIMEOUT, MAX_SERVERS, RETRY_ATTEMPTS};
use crate::weights::Weights;

/// A host that only our file knows, and where it redirects to: so a probe finds out who reads the file.
pub const PROXY_HOST: &str = "servos-mesh.invalid";
/// See [`PROXY_HOST`].
pub const PROXY_LOCATION: &str = "http://servos-mesh.invalid/reads-the-file";

const HEADER: &str = "# Written by servos-agent; changes are overwritten. See `servos-agent plan`.\n";

/// The file's content, and what could not be put into it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DynamicFile {
    /// YAML.
    pub content: String,
    /// Services in it.
    pub services: usize,
    /// Services that are left out, and what to do about it.
    pub notes: Vec<String>,
}

/// Renders the failover services of a snapshot. `entry_points`: Traefik's, name and port.
pub fn dynamic_file(snapshot: &Snapshot, weights: &Weights, entry_points: &BTreeMap<String, u16>) -> DynamicFile {
    let mut file = DynamicFile::default();
    let mut sections = Sections::default();
    // An entry point that carries TCP or UDP has no HTTP router.
    let mut taken = Vec::new();
    for service in snapshot.table.services().iter().filter(|service| service.mesh_failover) {
        let Some(entry_point) = entry_points.iter().find(|(_, port)| **port == service.port).map(|(name, _)| name)
        else {
            file.notes.push(format!(
                "{}: Traefik has no entry point on port {}: add one to its static configuration and to \
                 [failover.entry_points] in agent.toml",
                service.name, service.port
            ));
            continue;
        };
        let servers = servers(weights, service);
        if servers.is_empty() {
            file.notes.push(format!("{}: has no instance", service.name));
            continue;
        }
        match service.protocol {
            Protocol::Http => sections.http(snapshot, service, entry_point, &servers),
            Protocol::Tcp => sections.tcp(service, entry_point, &servers),
            Protocol::Udp => sections.udp(service, entry_point, &servers),
        }
        if service.protocol != Protocol::Http {
            taken.push(entry_point);
        }
        file.services += 1;
    }
    file.content = sections.render(entry_points.keys().filter(|name| !taken.contains(name)).collect());
    file
}

/// Address and weight of those that take traffic; of all if nobody does.
fn servers(weights: &Weights, service: &Service) -> Vec<(String, u16)> {
    let instances = &service.instances[..service.instances.len().min(MAX_SERVERS)];
    let place = |instance: &Instance| format!("{}:{}", instance.server(), instance.port());
    let weighted = instances.iter().map(|instance| (place(instance), weights.of(service, instance)));
    let taking: Vec<_> = weighted.filter(|(_, weight)| *weight > 0).collect();
    if !taking.is_empty() {
        return taking;
    }
    instances.iter().map(|instance| (place(instance), instance.weight().max(1))).collect()
}

/// The parts of the file, keyed by our own names.
#[derive(Default)]
struct Sections {
    http_routers: Map<String, Value>,
    http_services: Map<String, Value>,
    tcp_routers: Map<String, Value>,
    tcp_services: Map<String, Value>,
    udp_routers: Map<String, Value>,
    udp_services: Map<String, Value>,
}

impl Sections {
    fn http(&mut self, snapshot: &Snapshot, service: &Service, entry_point: &str, servers: &[(String, u16)]) {
        let name = format!("servos-{}", service.name);
        let domain = snapshot.table.domain();
        let mut rule = format!("Host(`{0}`) || Host(`{0}.{domain}`)", service.name);
        for host in &service.hosts {
            rule.push_str(&format!(" || Host(`{host}`)"));
        }
        let servers: Vec<_> = servers
            .iter()
            .map(|(place, weight)| json!({ "url": format!("http://{place}"), "weight": weight }))
            .collect();
        self.http_routers.insert(
            name.clone(),
            json!({ "entryPoints": [entry_point], "rule": rule, "service": name, "middlewares": ["servos-retry"] }),
        );
        self.http_services.insert(
            name,
            json!({ "loadBalancer": {
                "servers": servers,
                "serversTransport": "servos-mesh",
                "passiveHealthCheck": { "failureWindow": "5s", "maxFailedAttempts": 2 },
            } }),
        );
    }

    fn tcp(&mut self, service: &Service, entry_point: &str, servers: &[(String, u16)]) {
        let name = format!("servos-{}", service.name);
        let router = json!({ "entryPoints": [entry_point], "rule": "HostSNI(`*`)", "service": name });
        self.tcp_routers.insert(name.clone(), router);
        weighted(&mut self.tcp_services, &name, servers);
    }

    fn udp(&mut self, service: &Service, entry_point: &str, servers: &[(String, u16)]) {
        let name = format!("servos-{}", service.name);
        self.udp_routers.insert(name.clone(), json!({ "entryPoints": [entry_point], "service": name }));
        weighted(&mut self.udp_services, &name, servers);
    }

    fn render(mut self, http_entry_points: Vec<&String>) -> String {
        self.http_routers.insert(
            "servos-reads-the-file".to_owned(),
            json!({ "entryPoints": http_entry_points, "rule": format!("Host(`{PROXY_HOST}`)"), "service": "noop@internal",
                "middlewares": ["servos-reads-the-file"] }),
        );
        let mut http = json!({
            "routers": self.http_routers,
            "middlewares": {
                "servos-retry": { "retry": { "attempts": RETRY_ATTEMPTS, "initialInterval": "50ms" } },
                "servos-reads-the-file": { "redirectRegex": { "regex": ".*", "replacement": PROXY_LOCATION } },
            },
        });
        // Traefik refuses an empty section of services.
        if !self.http_services.is_empty() {
            http["services"] = Value::Object(self.http_services);
            http["serversTransports"] =
                json!({ "servos-mesh": { "forwardingTimeouts": { "dialTimeout": DIAL_TIMEOUT } } });
        }
        let mut root = Map::from_iter([("http".to_owned(), http)]);
        for (section, routers, services) in
            [("tcp", self.tcp_routers, self.tcp_services), ("udp", self.udp_routers, self.udp_services)]
        {
            if !services.is_empty() {
                root.insert(section.to_owned(), json!({ "routers": routers, "services": services }));
            }
        }
        // Maps of strings, numbers and lists: there is nothing in it that YAML cannot say.
        let body = serde_yaml_ng::to_string(&root).unwrap_or_default();
        format!("{HEADER}{body}")
    }
}

/// TCP and UDP have no weight of a server: a weighted service over services of one server each.
fn weighted(services: &mut Map<String, Value>, name: &str, servers: &[(String, u16)]) {
    let mut parts = Vec::new();
    for (at, (place, weight)) in servers.iter().enumerate() {
        let part = format!("{name}-{at}");
        services.insert(part.clone(), json!({ "loadBalancer": { "servers": [{ "address": place }] } }));
        parts.push(json!({ "name": part, "weight": weight }));
    }
    services.insert(name.to_owned(), json!({ "weighted": { "services": parts } }));
}
