//! Every limit of the wire, each with its reason.

/// Addresses of 100.64.0.0/10 (RFC 6598).
pub const MESH_ADDRESSES: u32 = 1 << 22;

/// Bytes of a whole `MeshState`: 2^22 peers of 64 bytes, their names, and as much again for services.
pub const MAX_STATE_BYTES: usize = 640 << 20;

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

/// Bytes of a label's key, and of its value.
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

/// Bytes of an enrolment token's text: a URL of 512 bytes and its fixed parts, in base64.
pub const MAX_TOKEN_TEXT: usize = 1_024;

/// Bytes of any JSON body of the API.
pub const MAX_JSON_BODY: usize = 64 << 10;
