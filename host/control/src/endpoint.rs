//! Where peers reach a server: what it tells, or what the control plane sees. Addresses that no peer could use, or
//! that lead back into the mesh, are refused.

use std::net::{IpAddr, SocketAddr};

use servos_mesh::MeshAddress;
use servos_mesh::api::EndpointReport;

/// Where peers reach a server, and who says so.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Endpoint {
    /// Address and WireGuard's UDP port.
    pub socket: SocketAddr,
    /// Who says so.
    pub origin: Origin,
}

/// Who says where a server is reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq, serde::Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Origin {
    /// The server.
    Told,
    /// The control plane saw its requests come from there.
    Observed,
}

impl Origin {
    /// `told` or `observed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Told => "told",
            Self::Observed => "observed",
        }
    }
}

/// The endpoint that a report means, sent from `source`. None: the source is of no use to peers (a server that talks
/// to us through the mesh itself), so what is known stays.
///
/// # Errors
///
/// [`EndpointError`] for a port or a told address that no peer could use.
pub fn resolve(report: &EndpointReport, source: IpAddr) -> Result<Option<Endpoint>, EndpointError> {
    if report.port == 0 {
        return Err(EndpointError::Port);
    }
    let Some(told) = report.ip else {
        let source = source.to_canonical();
        let observed = Endpoint { socket: SocketAddr::new(source, report.port), origin: Origin::Observed };
        return Ok(problem(source).is_none().then_some(observed));
    };
    let told = told.to_canonical();
    if let Some(problem) = problem(told) {
        return Err(EndpointError::Address { ip: told, problem });
    }
    Ok(Some(Endpoint { socket: SocketAddr::new(told, report.port), origin: Origin::Told }))
}

fn problem(ip: IpAddr) -> Option<&'static str> {
    if ip.is_unspecified() {
        return Some("is no address of a server");
    }
    if ip.is_multicast() {
        return Some("is a multicast address");
    }
    match ip {
        IpAddr::V4(v4) if v4.is_broadcast() => Some("is the broadcast address"),
        IpAddr::V4(v4) if MeshAddress::try_from(v4).is_ok() => {
            Some("lies in the mesh's own 100.64.0.0/10, to which traffic goes through the tunnel")
        }
        IpAddr::V6(v6) if v6.is_unicast_link_local() => Some("is link-local and means another server on each link"),
        _ => None,
    }
}

/// Why an endpoint is refused.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum EndpointError {
    /// Port 0.
    #[error("port 0 is no port that peers could send to: give WireGuard's listen port")]
    Port,
    /// An address that is of no use.
    #[error("{ip} {problem}: give an address at which the other servers reach this one")]
    Address {
        /// The address.
        ip: IpAddr,
        /// What is wrong with it.
        problem: &'static str,
    },
}
