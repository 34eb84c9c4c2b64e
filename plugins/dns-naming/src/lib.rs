//! Default naming plugin: services, servers and addresses answer to their names.

mod preference;
mod settings;
mod srv_name;

use std::net::Ipv4Addr;

use servos_plugin_sdk::naming::{
    Answer, Directory, Instance, Naming, Outcome, Protocol, Question, Rdata, RecordType, Service,
};

use srv_name::SrvName;

pub use settings::DnsNaming;

servos_plugin_sdk::naming_plugin!(DnsNaming);

impl Naming for DnsNaming {
    fn check(&self) -> Result<(), String> {
        self.check_ranges()
    }

    fn resolve(&self, mesh: &dyn Directory, question: &Question) -> Outcome {
        if let Some(address) = address_of_reverse_name(&question.name) {
            return self.reverse(mesh, address, question.record_type);
        }
        if let Some(name) = SrvName::parse(&question.name) {
            return self.located(mesh, &name, question.record_type);
        }
        let service = mesh.service_by_name(&question.name).or_else(|| mesh.service_by_host(&question.name));
        if let Some(service) = service {
            return match question.record_type {
                RecordType::A => self.addresses(mesh, &service),
                RecordType::Srv => self.srv(mesh, &service),
                _ => Outcome::NoData,
            };
        }
        match mesh.server_by_name(&question.name) {
            Some(server) => question.answer_a(self.ttl, server.address),
            None => Outcome::Pass,
        }
    }
}

impl DnsNaming {
    fn addresses(&self, mesh: &dyn Directory, service: &Service) -> Outcome {
        if self.proxy && service.protocol == Protocol::Http && service.mesh_failover {
            let proxy = mesh.failover_proxy().filter(|proxy| proxy.ports.contains(&service.port));
            if let Some(proxy) = proxy {
                return Outcome::Answers(vec![Answer::a(self.ttl, proxy.address)]);
            }
        }
        let mut addresses: Vec<Ipv4Addr> = Vec::new();
        for instance in self.instances(mesh, service) {
            if !addresses.contains(&instance.server.address) {
                addresses.push(instance.server.address);
            }
        }
        addresses.truncate(self.max_answers);
        answers(addresses.into_iter().map(|address| Answer::a(self.ttl, address)).collect())
    }

    fn located(&self, mesh: &dyn Directory, name: &SrvName<'_>, record_type: RecordType) -> Outcome {
        let (service, ours) = match mesh.service_by_name(name.service) {
            Some(service) => (service, true),
            None => match mesh.service_by_host(name.service) {
                Some(service) => (service, false),
                None => return Outcome::Pass,
            },
        };
        match (name.fits(&service), record_type) {
            (true, RecordType::Srv) => self.srv(mesh, &service),
            (true, _) => Outcome::NoData,
            // Beneath a host name of the world's others may have records.
            (false, _) if ours => Outcome::NoSuchName,
            (false, _) => Outcome::Pass,
        }
    }

    /// Instances that are equally good share a priority, and the hints spread clients over them (RFC 2782).
    fn srv(&self, mesh: &dyn Directory, service: &Service) -> Outcome {
        let instances = self.instances(mesh, service);
        let groups = instances.chunk_by(|a, b| preference::equal(a, b, self.prefer_local));
        let records = groups.zip(0..).flat_map(|(group, priority)| {
            group.iter().map(move |instance| Answer {
                ttl: self.ttl,
                rdata: Rdata::Srv {
                    priority,
                    weight: instance.weight_hint,
                    port: instance.port,
                    target: instance.server.name.clone(),
                },
            })
        });
        answers(records.take(self.max_answers).collect())
    }

    fn reverse(&self, mesh: &dyn Directory, address: Ipv4Addr, record_type: RecordType) -> Outcome {
        match mesh.server_by_address(address) {
            Some(server) if record_type == RecordType::Ptr => {
                Outcome::Answers(vec![Answer { ttl: self.ttl, rdata: Rdata::Ptr(server.name) }])
            }
            Some(_) => Outcome::NoData,
            None => Outcome::Pass,
        }
    }

    fn instances(&self, mesh: &dyn Directory, service: &Service) -> Vec<Instance> {
        preference::usable_first(mesh.instances(&service.name), self.prefer_local)
    }
}

/// A service without instances exists all the same.
fn answers(answers: Vec<Answer>) -> Outcome {
    if answers.is_empty() { Outcome::NoData } else { Outcome::Answers(answers) }
}

/// `5.0.64.100.in-addr.arpa` → 100.64.0.5.
fn address_of_reverse_name(name: &str) -> Option<Ipv4Addr> {
    let reversed: Ipv4Addr = name.strip_suffix(".in-addr.arpa")?.parse().ok()?;
    let [d, c, b, a] = reversed.octets();
    Some(Ipv4Addr::new(a, b, c, d))
}
