//! The host's side of `directory` and `log`: look-ups in the snapshot of the call, each at constant cost.
//!
//! While a guest starts there is no mesh yet: every look-up finds nothing.

use std::time::Duration;

use servos_mesh::{Health, Instance, InstanceKey, Link, MeshAddress, PeerRecord, Protocol, Service, Snapshot};

use crate::LogLevel;
use crate::bindings::{directory, log, types};
use crate::guest_state::GuestState;
use crate::limits::{MAX_INSTANCES_LISTED, MAX_LOCAL_INSTANCES};

impl types::Host for GuestState {}

impl log::Host for GuestState {
    fn log(&mut self, level: log::Level, message: String) {
        let level = match level {
            log::Level::Debug => LogLevel::Debug,
            log::Level::Info => LogLevel::Info,
            log::Level::Warn => LogLevel::Warn,
            log::Level::Error => LogLevel::Error,
        };
        self.log.write(level, &message);
    }
}

impl directory::Host for GuestState {
    fn generation(&mut self) -> u64 {
        self.snapshot.as_ref().map_or(0, |snapshot| snapshot.generation)
    }

    fn domain(&mut self) -> String {
        self.snapshot.as_ref().map(|snapshot| snapshot.table.domain().to_string()).unwrap_or_default()
    }

    /// Without name, and with address 0.0.0.0, until the first state of the mesh arrives.
    fn this_server(&mut self) -> types::Server {
        let own = self.snapshot.as_ref().and_then(|snapshot| Some(server(snapshot, snapshot.table.own()?)));
        own.unwrap_or(types::Server { name: String::new(), address: (0, 0, 0, 0) })
    }

    fn server_by_name(&mut self, name: String) -> Option<types::Server> {
        let snapshot = self.snapshot.as_ref()?;
        Some(server(snapshot, snapshot.table.server_by_name(&name)?))
    }

    fn server_by_address(&mut self, (a, b, c, d): types::Ipv4Address) -> Option<types::Server> {
        let snapshot = self.snapshot.as_ref()?;
        let address = MeshAddress::try_from(std::net::Ipv4Addr::new(a, b, c, d)).ok()?;
        Some(server(snapshot, snapshot.table.server_by_address(address)?))
    }

    fn service_by_name(&mut self, name: String) -> Option<types::Service> {
        self.snapshot.as_ref()?.table.service(&name).map(service)
    }

    fn service_by_host(&mut self, host: String) -> Option<types::Service> {
        self.snapshot.as_ref()?.table.service_by_host(&host).map(service)
    }

    fn instances(&mut self, name: String) -> Vec<types::Instance> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        let Some(service) = snapshot.table.service(&name) else { return Vec::new() };
        listed(snapshot, service).map(|it| instance(snapshot, service, it)).collect()
    }

    fn local_services(&mut self) -> Vec<types::Service> {
        let Some(snapshot) = &self.snapshot else { return Vec::new() };
        snapshot.table.local_services().take(MAX_LOCAL_INSTANCES).map(service).collect()
    }

    fn failover_proxy(&mut self) -> Option<directory::Proxy> {
        let proxy = self.snapshot.as_ref()?.observations.proxy.as_ref()?;
        Some(directory::Proxy { address: proxy.address.ipv4().octets().into(), ports: proxy.ports.clone() })
    }
}

/// A service as guests see it.
pub(crate) fn service(service: &Service) -> types::Service {
    types::Service {
        name: service.name.to_string(),
        protocol: match service.protocol {
            Protocol::Http => types::Protocol::Http,
            Protocol::Tcp => types::Protocol::Tcp,
            Protocol::Udp => types::Protocol::Udp,
        },
        port: service.port,
        hosts: service.hosts.iter().map(ToString::to_string).collect(),
        mesh_failover: service.mesh_failover,
        labels: service.labels.clone(),
    }
}

/// An instance of the snapshot's state as guests see it. Its round trip is that of its probes, else that of the tunnel.
pub(crate) fn instance(snapshot: &Snapshot, service: &Service, instance: &Instance) -> types::Instance {
    let address = instance.server();
    let key = InstanceKey { service: service.name.clone(), server: address, port: instance.port() };
    let seen = snapshot.instance(&key);
    let link = snapshot.link(address);
    let micros = |time: Duration| u32::try_from(time.as_micros()).unwrap_or(u32::MAX);
    types::Instance {
        server: types::Server {
            // No table lets an instance lose its server.
            name: snapshot
                .table
                .server_by_address(address)
                .map(|peer| snapshot.table.name_of(peer).to_owned())
                .unwrap_or_default(),
            address: address.ipv4().octets().into(),
        },
        port: instance.port(),
        weight_hint: instance.weight(),
        health: match seen.map_or(Health::Unknown, |seen| seen.health) {
            Health::Unknown => types::Health::Unknown,
            Health::Healthy => types::Health::Healthy,
            Health::Unhealthy => types::Health::Unhealthy,
        },
        link: match link.link {
            Link::Local => types::Link::Local,
            Link::Up => types::Link::Up,
            Link::Idle => types::Link::Idle,
            Link::Down => types::Link::Down,
        },
        round_trip: seen.and_then(|seen| seen.round_trip).or(link.round_trip).map(micros),
        health_age: seen.map_or(0, |seen| {
            let age = snapshot.taken_at.saturating_duration_since(seen.changed_at);
            u64::try_from(age.as_millis()).unwrap_or(u64::MAX)
        }),
        flaps: seen.map_or(0, |seen| seen.flaps),
    }
}

fn server(snapshot: &Snapshot, peer: &PeerRecord) -> types::Server {
    types::Server { name: snapshot.table.name_of(peer).to_owned(), address: peer.address().ipv4().octets().into() }
}

/// At most [`MAX_INSTANCES_LISTED`] instances, in the order of the state: all of this server's, then the first others.
fn listed<'a>(snapshot: &'a Snapshot, service: &'a Service) -> impl Iterator<Item = &'a Instance> {
    let all = service.instances.as_slice();
    let own = snapshot.table.own().map(|own| own.address());
    // Sorted by server, and servers are sorted by address.
    let first = own.map_or(0, |own| all.partition_point(|instance| instance.server() < own));
    let here = own.map_or(0, |own| all[first..].partition_point(|instance| instance.server() <= own));
    let here = here.min(MAX_INSTANCES_LISTED);
    let before = first.min(MAX_INSTANCES_LISTED - here);
    let after = MAX_INSTANCES_LISTED - here - before;
    let behind = &all[first + here..];
    all[..before].iter().chain(&all[first..first + here]).chain(behind.iter().take(after))
}
