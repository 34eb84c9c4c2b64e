//! systemd-resolved, over D-Bus (org.freedesktop.resolve1(5)).

use std::future::Future;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr};

use nix::net::if_::if_nametoindex;
use tokio::time::timeout;
use zbus::Connection;
use zbus::fdo::DBusProxy;
use zbus::names::BusName;
use zbus::proxy::CacheProperties;
use zbus::zvariant::OwnedObjectPath;

use super::facts::{LinkFacts, ResolvedFacts};
use super::{LinkStep, ResolverError};
use crate::ResolverPaths;
use crate::limits::DBUS_PATIENCE;

/// Its name on the bus.
pub(crate) const NAME: &str = "org.freedesktop.resolve1";

const AF_INET: i32 = 2;
const AF_INET6: i32 = 10;

#[zbus::proxy(
    interface = "org.freedesktop.resolve1.Manager",
    default_service = "org.freedesktop.resolve1",
    default_path = "/org/freedesktop/resolve1"
)]
trait Manager {
    fn get_link(&self, index: i32) -> zbus::Result<OwnedObjectPath>;
    #[zbus(name = "SetLinkDNS")]
    fn set_link_dns(&self, index: i32, addresses: &[(i32, Vec<u8>)]) -> zbus::Result<()>;
    fn set_link_domains(&self, index: i32, domains: &[(String, bool)]) -> zbus::Result<()>;
    fn set_link_default_route(&self, index: i32, enable: bool) -> zbus::Result<()>;
    #[zbus(name = "SetLinkLLMNR")]
    fn set_link_llmnr(&self, index: i32, mode: &str) -> zbus::Result<()>;
    #[zbus(name = "SetLinkMulticastDNS")]
    fn set_link_multicast_dns(&self, index: i32, mode: &str) -> zbus::Result<()>;
    #[zbus(name = "SetLinkDNSSEC")]
    fn set_link_dnssec(&self, index: i32, mode: &str) -> zbus::Result<()>;
    #[zbus(name = "SetLinkDNSOverTLS")]
    fn set_link_dns_over_tls(&self, index: i32, mode: &str) -> zbus::Result<()>;
    fn revert_link(&self, index: i32) -> zbus::Result<()>;
    fn flush_caches(&self) -> zbus::Result<()>;
    /// Interface, address family, address, port (0: 53), name for TLS.
    #[zbus(property, name = "DNSEx")]
    fn dns_ex(&self) -> zbus::Result<Vec<Server>>;
    #[zbus(property, name = "FallbackDNSEx")]
    fn fallback_dns_ex(&self) -> zbus::Result<Vec<Server>>;
}

type Server = (i32, i32, Vec<u8>, u16, String);

#[zbus::proxy(interface = "org.freedesktop.resolve1.Link", default_service = "org.freedesktop.resolve1")]
trait Link {
    #[zbus(property, name = "DNS")]
    fn dns(&self) -> zbus::Result<Vec<(i32, Vec<u8>)>>;
    #[zbus(property)]
    fn domains(&self) -> zbus::Result<Vec<(String, bool)>>;
    #[zbus(property)]
    fn default_route(&self) -> zbus::Result<bool>;
    #[zbus(property, name = "LLMNR")]
    fn llmnr(&self) -> zbus::Result<String>;
    #[zbus(property, name = "MulticastDNS")]
    fn multicast_dns(&self) -> zbus::Result<String>;
    #[zbus(property, name = "DNSSEC")]
    fn dnssec(&self) -> zbus::Result<String>;
    #[zbus(property, name = "DNSOverTLS")]
    fn dns_over_tls(&self) -> zbus::Result<String>;
}

/// The way to systemd-resolved; connects when it is needed.
pub(crate) struct Resolved {
    address: Option<String>,
    connection: Option<Connection>,
}

impl Resolved {
    pub(crate) fn new(paths: &ResolverPaths) -> Self {
        Self { address: paths.system_bus.clone(), connection: None }
    }

    /// What it knows; none if it is not there. It is not started by our asking.
    pub(crate) async fn facts(&mut self, interface: &str) -> Result<Option<ResolvedFacts>, ResolverError> {
        let found = self.read(interface).await;
        if found.is_err() {
            // The bus may have been restarted: connect anew the next time.
            self.connection = None;
        }
        found
    }

    /// Does one step for the interface with that number.
    pub(crate) async fn run(&mut self, index: i32, step: &LinkStep) -> Result<(), ResolverError> {
        let Ok(bus) = self.bus().await else { return Err(ResolverError::Silent { call: "D-Bus" }) };
        let manager =
            call("Manager", ManagerProxy::builder(&bus).cache_properties(CacheProperties::No).build()).await?;
        match step {
            LinkStep::SetDns(address) => {
                let servers = [(AF_INET, address.octets().to_vec())];
                call("SetLinkDNS", manager.set_link_dns(index, &servers)).await
            }
            LinkStep::SetDomains(domains) => call("SetLinkDomains", manager.set_link_domains(index, domains)).await,
            LinkStep::NoDefaultRoute => call("SetLinkDefaultRoute", manager.set_link_default_route(index, false)).await,
            LinkStep::NoLlmnr => call("SetLinkLLMNR", manager.set_link_llmnr(index, "no")).await,
            LinkStep::NoMulticastDns => call("SetLinkMulticastDNS", manager.set_link_multicast_dns(index, "no")).await,
            LinkStep::NoDnssec => call("SetLinkDNSSEC", manager.set_link_dnssec(index, "no")).await,
            LinkStep::NoDnsOverTls => call("SetLinkDNSOverTLS", manager.set_link_dns_over_tls(index, "no")).await,
            LinkStep::FlushCaches => call("FlushCaches", manager.flush_caches()).await,
            LinkStep::Revert => call("RevertLink", manager.revert_link(index)).await,
        }
    }

    async fn read(&mut self, interface: &str) -> Result<Option<ResolvedFacts>, ResolverError> {
        // No system bus: a container, or a host without systemd.
        let Ok(bus) = self.bus().await else { return Ok(None) };
        if !is_there(&bus).await? {
            return Ok(None);
        }
        let index = if_nametoindex(interface).ok().and_then(|index| i32::try_from(index).ok());
        let manager =
            call("Manager", ManagerProxy::builder(&bus).cache_properties(CacheProperties::No).build()).await?;
        let mut servers = call("DNSEx", manager.dns_ex()).await?;
        servers.retain(|(of, ..)| Some(*of) != index);
        if servers.is_empty() {
            // Properties that older ones do not have are no reason to fail.
            servers = call("FallbackDNSEx", manager.fallback_dns_ex()).await.unwrap_or_default();
        }
        let servers = servers.into_iter().filter_map(socket_address).collect();
        let link = match index {
            Some(index) => read_link(&bus, &manager, index).await?,
            None => None,
        };
        Ok(Some(ResolvedFacts { link, servers }))
    }

    async fn bus(&mut self) -> Result<Connection, ResolverError> {
        if let Some(connection) = &self.connection {
            return Ok(connection.clone());
        }
        let connection = connect(self.address.as_deref()).await?;
        Ok(self.connection.insert(connection).clone())
    }
}

/// Connects to the system bus, or to the bus at that address.
pub(crate) async fn connect(address: Option<&str>) -> Result<Connection, ResolverError> {
    let connecting = async {
        match address {
            Some(address) => zbus::connection::Builder::address(address)?.build().await,
            None => Connection::system().await,
        }
    };
    call("connect to the system bus", connecting).await
}

async fn is_there(bus: &Connection) -> Result<bool, ResolverError> {
    let name =
        BusName::try_from(NAME).map_err(|error| ResolverError::Call { call: "NameHasOwner", source: error.into() })?;
    let asking = async { Ok(DBusProxy::new(bus).await?.name_has_owner(name).await?) };
    call("NameHasOwner", asking).await
}

/// None if it does not know the interface (yet).
async fn read_link(
    bus: &Connection,
    manager: &ManagerProxy<'_>,
    index: i32,
) -> Result<Option<LinkFacts>, ResolverError> {
    let Ok(path) = call("GetLink", manager.get_link(index)).await else { return Ok(None) };
    let building = async { LinkProxy::builder(bus).path(path)?.cache_properties(CacheProperties::No).build().await };
    let link = call("Link", building).await?;
    let mut domains = call("Domains", link.domains()).await?;
    domains.sort();
    let servers = call("DNS", link.dns()).await?;
    Ok(Some(LinkFacts {
        index,
        servers: servers.into_iter().filter_map(|(family, bytes)| ip(family, &bytes)).collect(),
        domains,
        default_route: call("DefaultRoute", link.default_route()).await?,
        llmnr: call("LLMNR", link.llmnr()).await?,
        multicast_dns: call("MulticastDNS", link.multicast_dns()).await?,
        dnssec: call("DNSSEC", link.dnssec()).await?,
        dns_over_tls: call("DNSOverTLS", link.dns_over_tls()).await?,
    }))
}

async fn call<T>(name: &'static str, calling: impl Future<Output = zbus::Result<T>>) -> Result<T, ResolverError> {
    match timeout(DBUS_PATIENCE, calling).await {
        Ok(done) => done.map_err(|source| ResolverError::Call { call: name, source }),
        Err(_) => Err(ResolverError::Silent { call: name }),
    }
}

fn socket_address((index, family, bytes, port, _): Server) -> Option<SocketAddr> {
    let port = if port == 0 { 53 } else { port };
    match ip(family, &bytes)? {
        // A link-local address means nothing without its interface.
        IpAddr::V6(ip) if ip.is_unicast_link_local() => {
            Some(std::net::SocketAddrV6::new(ip, port, 0, u32::try_from(index).ok()?).into())
        }
        ip => Some(SocketAddr::new(ip, port)),
    }
}

fn ip(family: i32, bytes: &[u8]) -> Option<IpAddr> {
    match family {
        AF_INET => Some(Ipv4Addr::from(<[u8; 4]>::try_from(bytes).ok()?).into()),
        AF_INET6 => Some(Ipv6Addr::from(<[u8; 16]>::try_from(bytes).ok()?).into()),
        _ => None,
    }
}
