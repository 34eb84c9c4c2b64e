//! Names that ask where a service is: `_postgres._tcp`, `_http._tcp.api` (RFC 2782).

use servos_plugin_sdk::naming::{Protocol, Service};

/// `_kind._transport`, with or without the service's name behind it.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct SrvName<'a> {
    kind: &'a str,
    transport: &'a str,
    /// Name or host name of the service; the kind itself where nothing stands behind.
    pub service: &'a str,
}

impl<'a> SrvName<'a> {
    /// None if the name does not start with two labels that start with an underscore.
    pub fn parse(name: &'a str) -> Option<Self> {
        let mut labels = name.splitn(3, '.');
        let kind = labels.next()?.strip_prefix('_')?;
        let transport = labels.next()?.strip_prefix('_')?;
        Some(Self { kind, transport, service: labels.next().unwrap_or(kind) })
    }

    /// Whether the service is what the name asks for. What a TCP or UDP service speaks is not known, so that any kind
    /// is taken; an HTTP service is `_http`, or its own name.
    pub fn fits(&self, service: &Service) -> bool {
        let transport = if service.protocol == Protocol::Udp { "udp" } else { "tcp" };
        let kind = service.protocol != Protocol::Http || self.kind == "http" || self.kind == service.name;
        self.transport == transport && kind
    }
}
