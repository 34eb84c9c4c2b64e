//! JSON bodies and header values of the control plane's HTTP API; the mesh state itself is in [`MeshState`].
//!
//! | request | credential | body | answer |
//! |---|---|---|---|
//! | `POST /api/v1/enrol` | enrolment token's bearer | [`EnrolRequest`] | 201 [`EnrolResponse`] |
//! | `GET /api/v1/mesh/config` | server's | | 200 state, 226 delta, 304 |
//! | `PUT /api/v1/server/endpoint` | server's | [`EndpointReport`] | 204 |
//! | `PUT /api/v1/server/key` | server's | [`KeyRotation`] | 204 |
//! | `DELETE /api/v1/server` | server's | | 204 |
//! | `GET /healthz` | none | | 200 `ok` |
//!
//! Every error is an [`ErrorBody`].
//!
//! [`MeshState`]: crate::MeshState

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::{DnsLabel, HostName, MeshAddress, PublicKey};

/// Media type of a `MeshState` body.
pub const MESH_STATE_TYPE: &str = "application/vnd.servos.mesh-state";

/// Media type of a `MeshDelta` body.
pub const MESH_DELTA_TYPE: &str = "application/vnd.servos.mesh-delta";

/// Name of the instance manipulation (RFC 3229 §5) that makes a `MeshDelta` of a `MeshState`: a client asks for it in
/// [`A_IM`], and the answer 226 names it in [`IM`].
pub const DELTA_MANIPULATION: &str = "servos-mesh-delta";

/// Request header: manipulations that the client accepts (RFC 3229 §10.5.3).
pub const A_IM: &str = "a-im";

/// Answer header: the manipulation that was done (RFC 3229 §10.5.2).
pub const IM: &str = "im";

/// Answer header: entity tag of the state that the delta is to be applied to (RFC 3229 §10.5.1).
pub const DELTA_BASE: &str = "delta-base";

/// Status of an answer that is a delta: IM Used (RFC 3229 §10.4.1).
pub const IM_USED: u16 = 226;

/// A server asks to join.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EnrolRequest {
    /// The name that it wants; unique in the organisation.
    pub name: DnsLabel,
    /// The public half of the key that it made.
    pub public_key: PublicKey,
    /// Where peers reach it.
    pub endpoint: EndpointReport,
}

/// Where peers reach a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct EndpointReport {
    /// None: the address that the control plane sees the request come from.
    pub ip: Option<IpAddr>,
    /// WireGuard's UDP port.
    pub port: u16,
}

/// A server has made itself another key.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRotation {
    /// The public half of the key; one that the server has already changes nothing.
    pub public_key: PublicKey,
}

/// The server has joined.
#[derive(Clone, Serialize, Deserialize)]
pub struct EnrolResponse {
    /// Name of the organisation.
    pub organisation: String,
    /// The server's name.
    pub name: DnsLabel,
    /// The server's address, its own for life.
    pub address: MeshAddress,
    /// Search domain.
    pub domain: HostName,
    /// Bearer credential of this server. A secret.
    pub credential: String,
}

impl std::fmt::Debug for EnrolResponse {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("EnrolResponse")
            .field("name", &self.name)
            .field("address", &self.address)
            .finish_non_exhaustive()
    }
}

/// Why a request was refused.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Stable, for programs: `token-expired`, `name-taken`, `unknown-credential`, …
    pub code: String,
    /// For people: what, and what to do next.
    pub message: String,
}
