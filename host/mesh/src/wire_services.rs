//! Services between bytes and values, for states and deltas alike: they differ in how an instance names its server.

use std::sync::Arc;
use std::time::Duration;

use zerocopy::{FromBytes, IntoBytes};

use crate::codec::{self, WireError, WireHealthCheck, WireInstance, WireService};
use crate::limits::{MAX_INSTANCES, MAX_SERVICES};
use crate::{HealthCheck, HostName, Instance, MeshAddress, Protocol, Service};

/// Reads `count` services. `server` is whom an instance means by a number.
pub(crate) fn parse_services(
    count: u32,
    mut bytes: &[u8],
    server: impl Fn(u32) -> Option<MeshAddress>,
) -> Result<Arc<[Service]>, WireError> {
    let count = count as usize;
    if count > MAX_SERVICES {
        return Err(WireError::invalid("services", format!("{count} are more than {MAX_SERVICES}")));
    }
    let mut services: Vec<Service> = Vec::new();
    for at in 0..count {
        let (wire, rest) = codec::decode_service(bytes)?;
        let place = || format!("service {at}");
        let instance_count = wire.instance_count as usize;
        if instance_count > MAX_INSTANCES {
            return Err(WireError::invalid(place(), format!("has more than {MAX_INSTANCES} instances")));
        }
        let Some((instances, rest)) = rest.split_at_checked(instance_count * size_of::<WireInstance>()) else {
            return Err(WireError::invalid(place(), "is cut off in its instances"));
        };
        let service =
            parse_service(&wire, instances, &server).map_err(|problem| WireError::invalid(place(), problem))?;
        if services.last().is_some_and(|last| last.name >= service.name) {
            return Err(WireError::invalid(place(), "is not sorted by name, or not unique"));
        }
        services.push(service);
        bytes = rest;
    }
    if !bytes.is_empty() {
        return Err(WireError::invalid("services", format!("{} bytes behind the last", bytes.len())));
    }
    Ok(services.into())
}

fn parse_service(
    wire: &WireService<'_>,
    instances: &[u8],
    server: impl Fn(u32) -> Option<MeshAddress>,
) -> Result<Service, String> {
    let protocol = match wire.protocol {
        0 => Protocol::Http,
        1 => Protocol::Tcp,
        2 => Protocol::Udp,
        other => return Err(format!("has unknown protocol {other}")),
    };
    let instances = <[WireInstance]>::ref_from_bytes(instances).map_err(|_| "has cut instances")?;
    let instances: Option<Vec<_>> = instances
        .iter()
        .map(|wire| Some(Instance::new(server(wire.server.get())?, wire.port.get(), wire.weight.get())))
        .collect();
    let service = Service {
        name: wire.name.parse().map_err(|error: crate::LabelError| error.to_string())?,
        protocol,
        port: wire.port,
        mesh_failover: wire.flags & 1 != 0,
        hosts: wire
            .hosts
            .iter()
            .map(|host| host.parse::<HostName>().map_err(|e| e.to_string()))
            .collect::<Result<_, _>>()?,
        labels: wire.labels.iter().map(|&(key, value)| (key.to_owned(), value.to_owned())).collect(),
        health_check: wire.health_check.as_ref().map(|check| HealthCheck {
            path: check.path.map(str::to_owned),
            interval: Duration::from_millis(check.interval_ms.into()),
            timeout: Duration::from_millis(check.timeout_ms.into()),
        }),
        instances: instances.ok_or_else(|| format!("{}: an instance on an unknown server", wire.name))?,
    };
    service.check_text()?;
    service.check_instances()?;
    Ok(service)
}

/// Writes services that are sorted by name, their instances sorted; returns how many, and their bytes. `number` is what
/// an instance calls its server; an instance whose server has none is left out.
pub(crate) fn encode_services<'a>(
    services: impl IntoIterator<Item = &'a Service>,
    number: impl Fn(MeshAddress) -> Option<u32>,
) -> Result<(u32, Vec<u8>), WireError> {
    let (mut count, mut bytes) = (0, Vec::new());
    for service in services {
        count += 1;
        encode_service(service, &number, &mut bytes)?;
    }
    Ok((count, bytes))
}

fn encode_service(
    service: &Service,
    number: impl Fn(MeshAddress) -> Option<u32>,
    bytes: &mut Vec<u8>,
) -> Result<(), WireError> {
    let wire_instance = |instance: &Instance| {
        Some(WireInstance {
            server: number(instance.server())?.into(),
            port: instance.port().into(),
            weight: instance.weight().into(),
        })
    };
    let instances: Vec<_> = service.instances.iter().filter_map(wire_instance).collect();
    let millis = |duration: Duration| u32::try_from(duration.as_millis()).unwrap_or(u32::MAX);
    let wire = WireService {
        name: service.name.as_str(),
        protocol: match service.protocol {
            Protocol::Http => 0,
            Protocol::Tcp => 1,
            Protocol::Udp => 2,
        },
        flags: u8::from(service.mesh_failover),
        port: service.port,
        hosts: service.hosts.iter().map(HostName::as_str).collect(),
        labels: service.labels.iter().map(|(key, value)| (key.as_str(), value.as_str())).collect(),
        health_check: service.health_check.as_ref().map(|check| WireHealthCheck {
            path: check.path.as_deref(),
            interval_ms: millis(check.interval),
            timeout_ms: millis(check.timeout),
        }),
        instance_count: u32::try_from(instances.len()).map_err(|_| WireError::invalid("instances", "too many"))?,
    };
    bytes.extend(codec::encode_service(&wire)?);
    bytes.extend_from_slice(instances.as_bytes());
    Ok(())
}
