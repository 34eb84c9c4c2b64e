//! One change of what systemd-resolved knows of the mesh's interface.

use std::fmt;
use std::net::Ipv4Addr;

/// See the module.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum LinkStep {
    /// The name server.
    SetDns(Ipv4Addr),
    /// Domains, each with whether it only routes and is not searched.
    SetDomains(Vec<(String, bool)>),
    /// Names of no particular domain are not asked for here.
    NoDefaultRoute,
    /// No LLMNR.
    NoLlmnr,
    /// No multicast DNS.
    NoMulticastDns,
    /// No DNSSEC: a private zone is not signed.
    NoDnssec,
    /// No DNS over TLS: the mesh is encrypted, and the server on this host.
    NoDnsOverTls,
    /// Forget what was answered before.
    FlushCaches,
    /// All as if nobody had set anything.
    Revert,
}

impl fmt::Display for LinkStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::SetDns(address) => write!(f, "SetLinkDNS {address}"),
            Self::SetDomains(domains) => {
                let searched = domains.iter().filter(|(_, routing)| !routing).map(|(domain, _)| domain.as_str());
                let searched: Vec<&str> = searched.collect();
                let routed = domains.len() - searched.len();
                write!(f, "SetLinkDomains {} and {routed} that are only routed", searched.join(" "))
            }
            Self::NoDefaultRoute => f.write_str("SetLinkDefaultRoute no"),
            Self::NoLlmnr => f.write_str("SetLinkLLMNR no"),
            Self::NoMulticastDns => f.write_str("SetLinkMulticastDNS no"),
            Self::NoDnssec => f.write_str("SetLinkDNSSEC no"),
            Self::NoDnsOverTls => f.write_str("SetLinkDNSOverTLS no"),
            Self::FlushCaches => f.write_str("FlushCaches"),
            Self::Revert => f.write_str("RevertLink"),
        }
    }
}
