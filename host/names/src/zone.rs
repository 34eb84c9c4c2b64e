//! The zones that this server answers for with authority, and the SOA record that makes a negative answer one that may
//! be kept (RFC 2308).

use hickory_proto::rr::rdata::SOA;
use hickory_proto::rr::{Name, RData, Record};
use servos_mesh::Snapshot;

/// A zone that this server answers for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Zone {
    /// Names without a dot: the zone above them is the root's.
    Bare,
    /// The mesh's domain.
    Domain,
    /// `N.100.in-addr.arpa`, N from 64 to 127.
    Reverse(u8),
    /// One further host name of a service.
    Host(String),
}

impl Zone {
    /// The zone's name; none if it would not fit a DNS name.
    pub(crate) fn apex(&self, domain: &str) -> Option<Name> {
        match self {
            Self::Bare => Some(Name::root()),
            Self::Domain => absolute(domain),
            Self::Reverse(octet) => absolute(&format!("{octet}.100.in-addr.arpa")),
            Self::Host(host) => absolute(host),
        }
    }

    /// The zone's SOA record; `negative_ttl` in seconds.
    pub(crate) fn soa(&self, mesh: &Snapshot, negative_ttl: u32) -> Option<Record> {
        let domain = mesh.table.domain().as_str();
        // The generation grows with each change; the serial number counts modulo 2^32 (RFC 1982).
        let serial = mesh.generation as u32;
        let hostmaster = absolute(&format!("hostmaster.{domain}"))?;
        // Nobody transfers these zones: refresh, retry and expire are any usual values.
        let soa = SOA::new(name_server(mesh)?, hostmaster, serial, 3_600, 600, 86_400, negative_ttl);
        Some(Record::from_rdata(self.apex(domain)?, negative_ttl, RData::SOA(soa)))
    }
}

/// The name of this server, as a name server.
pub(crate) fn name_server(mesh: &Snapshot) -> Option<Name> {
    let table = &mesh.table;
    match table.own() {
        Some(own) => absolute(&format!("{}.{}", table.name_of(own), table.domain())),
        None => absolute(table.domain().as_str()),
    }
}

/// A fully qualified name of text without final dot.
pub(crate) fn absolute(text: &str) -> Option<Name> {
    let mut name = Name::from_ascii(text).ok()?;
    name.set_fqdn(true);
    Some(name)
}
