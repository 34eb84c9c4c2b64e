//! Conversions that are the same in each world: each has bindings of its own for the shared interfaces.

/// For a module that holds a world's bindings as `bindings`: `log`, and `Host`, the [`Directory`](crate::Directory).
macro_rules! shared_glue {
    () => {
        use std::net::Ipv4Addr;
        use std::time::Duration;

        use bindings::servos::plugin::{directory as host, log as host_log, types as wit};

        use crate::level::Level;
        use crate::{Directory, Health, Instance, Link, Protocol, Proxy, Server, Service};

        /// Writes to the host's log.
        pub fn log(level: Level, message: &str) {
            let level = match level {
                Level::Debug => host_log::Level::Debug,
                Level::Info => host_log::Level::Info,
                Level::Warn => host_log::Level::Warn,
                Level::Error => host_log::Level::Error,
            };
            host_log::log(level, message);
        }

        /// The mesh, asked of the host.
        pub struct Host;

        impl Directory for Host {
            fn generation(&self) -> u64 {
                host::generation()
            }

            fn domain(&self) -> String {
                host::domain()
            }

            fn this_server(&self) -> Server {
                server(host::this_server())
            }

            fn server_by_name(&self, name: &str) -> Option<Server> {
                host::server_by_name(name).map(server)
            }

            fn server_by_address(&self, address: Ipv4Addr) -> Option<Server> {
                host::server_by_address(tuple(address)).map(server)
            }

            fn service_by_name(&self, name: &str) -> Option<Service> {
                host::service_by_name(name).map(service)
            }

            fn service_by_host(&self, name: &str) -> Option<Service> {
                host::service_by_host(name).map(service)
            }

            fn instances(&self, service: &str) -> Vec<Instance> {
                host::instances(service).into_iter().map(instance).collect()
            }

            fn local_services(&self) -> Vec<Service> {
                host::local_services().into_iter().map(service).collect()
            }

            fn failover_proxy(&self) -> Option<Proxy> {
                host::failover_proxy().map(|proxy| Proxy { address: ipv4(proxy.address), ports: proxy.ports })
            }
        }

        fn ipv4((a, b, c, d): wit::Ipv4Address) -> Ipv4Addr {
            Ipv4Addr::new(a, b, c, d)
        }

        fn tuple(address: Ipv4Addr) -> wit::Ipv4Address {
            address.octets().into()
        }

        fn server(from: wit::Server) -> Server {
            Server { name: from.name, address: ipv4(from.address) }
        }

        fn service(from: wit::Service) -> Service {
            Service {
                name: from.name,
                protocol: match from.protocol {
                    wit::Protocol::Http => Protocol::Http,
                    wit::Protocol::Tcp => Protocol::Tcp,
                    wit::Protocol::Udp => Protocol::Udp,
                },
                port: from.port,
                hosts: from.hosts,
                mesh_failover: from.mesh_failover,
                labels: from.labels,
            }
        }

        fn instance(from: wit::Instance) -> Instance {
            Instance {
                server: server(from.server),
                port: from.port,
                weight_hint: from.weight_hint,
                health: match from.health {
                    wit::Health::Unknown => Health::Unknown,
                    wit::Health::Healthy => Health::Healthy,
                    wit::Health::Unhealthy => Health::Unhealthy,
                },
                link: match from.link {
                    wit::Link::Local => Link::Local,
                    wit::Link::Up => Link::Up,
                    wit::Link::Idle => Link::Idle,
                    wit::Link::Down => Link::Down,
                },
                round_trip: from.round_trip.map(|micros| Duration::from_micros(micros.into())),
                health_age: Duration::from_millis(from.health_age),
                flaps: from.flaps,
            }
        }
    };
}
