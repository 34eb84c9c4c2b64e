//! Every limit of the wire, each with its reason.

use std::time::Duration;

/// Addresses of 100.64.0.0/10 (RFC 6598).
pub const MESH_ADDRESSES: u32 = 1 << 22;

/// Bytes of a whole `MeshState`: 2^22 peers of 64 bytes, their names, and as much again for services.
pub const MAX_STATE_BYTES: usize = 640 << 20;

/// Bytes of a `MeshDelta`: some 200,000 changed peers. Twice what a control plane remembers of changes, so that all of it
/// can be told in one; and little beside the mesh for an agent, which takes a delta into memory whole before it reads it.
pub const MAX_DELTA_BYTES: usize = 16 << 20;

/// Changed addresses that a table carries over its whole state before it wants to be written out anew, in small meshes:
/// below, the whole is read in a millisecond anyway.
pub const MIN_OVERLAY: usize = 1_024;

/// In large meshes, as part of the records: what is held beside them for a changed address weighs little when spread over
/// 128, and a change costs the reading of 128 records, spread over the changes between two wholes.
pub const OVERLAY_SHARE: usize = 128;

/// Changes that a table remembers, one after the other, to tell what differs from an earlier one. Whoever puts tables in
/// force lags behind by a few; one that lags further looks at everything, as after a whole state.
pub const CHANGES_REMEMBERED: usize = 64;

/// Services of an organisation. A `DnsLabel` each; far above what a fleet runs.
pub const MAX_SERVICES: usize = 65_536;

/// Bytes of one service on the wire, without its instances.
pub const MAX_SERVICE_BYTES: usize = 256 << 10;

/// Instances of a service: one a server of the largest fleet that we serve.
pub const MAX_INSTANCES: usize = 131_072;

/// Further host names of a service.
pub const MAX_HOSTS: usize = 64;

/// Labels of a service.
pub const MAX_LABELS: usize = 64;

/// Bytes of a label's key, of its value, and of an organisation's name.
pub const MAX_LABEL_TEXT: usize = 256;

/// Bytes of a health check's path.
pub const MAX_PATH: usize = 1_024;

/// Bytes of a DNS label (RFC 1035 §2.3.4).
pub const MAX_DNS_LABEL: usize = 63;

/// Bytes of a host name without its final dot (RFC 1035 §2.3.4).
pub const MAX_HOST_NAME: usize = 253;

/// Weight of an instance unless the operator says otherwise.
pub const DEFAULT_WEIGHT: u16 = 100;

/// Highest weight of an instance; Traefik adds weights up, so they stay small.
pub const MAX_WEIGHT: u16 = 1_000;

/// Shortest time between two probes of an instance: below, probing is a load test.
pub const MIN_HEALTH_INTERVAL: Duration = Duration::from_millis(100);

/// Longest time between two probes of an instance: above, failover is none.
pub const MAX_HEALTH_INTERVAL: Duration = Duration::from_secs(3_600);

/// Longest time that a probe may take; a client would have gone by then.
pub const MAX_HEALTH_TIMEOUT: Duration = Duration::from_secs(60);

/// Bytes of the control plane's URL: `https://`, a host name of 253 bytes, a port, and room.
pub const MAX_URL: usize = 512;

/// Bytes of an enrolment token's text: a URL of [`MAX_URL`] and its fixed parts (69 bytes), in base64.
pub const MAX_TOKEN_TEXT: usize = 1_024;

/// Bytes of any JSON body of the API.
pub const MAX_JSON_BODY: usize = 64 << 10;
