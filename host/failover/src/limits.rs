//! Every limit and pace of probing, each with its reason.

use std::time::Duration;

/// Instances of one service that a server probes itself: enough to choose among, whatever the size of the service.
pub const MAX_PROBED: usize = 64;

/// Instances of one service in Traefik's file; beyond, Traefik's memory and reload time grow for nothing.
pub const MAX_SERVERS: usize = 256;

/// Over which changes of a verdict count as flapping.
pub const FLAP_WINDOW: Duration = Duration::from_secs(600);

/// How much of a new round trip enters the smoothed one: an eighth, as TCP does (RFC 6298 §2).
pub const SMOOTHING: u32 = 8;

/// By how much, as a fraction of 4, a smoothed round trip must change before anybody is told.
pub const ROUND_TRIP_STEP: u32 = 4;

/// How often it is looked whether the proxy listens.
pub const PROXY_INTERVAL: Duration = Duration::from_secs(1);

/// How long the proxy may take to answer, on its own server.
pub const PROXY_TIMEOUT: Duration = Duration::from_millis(800);

/// Bytes of a probe's answer that are read: only its status counts.
pub const MAX_PROBE_HEAD: usize = 8 << 10;

/// How long Traefik tries to connect to an instance before it tries the next.
pub const DIAL_TIMEOUT: &str = "400ms";

/// How often Traefik tries a request on another instance.
pub const RETRY_ATTEMPTS: u32 = 3;
