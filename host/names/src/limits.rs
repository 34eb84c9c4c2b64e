//! Every limit and time-out of this crate, each with its reason.

use std::time::Duration;

// --- The server

/// UDP sockets an address, and no more than there are cores: one receive loop each, the kernel spreads questions over them.
pub const UDP_SOCKETS: usize = 4;

/// Requests under way at once; each holds a few KiB. What comes on top is answered SERVFAIL at once, so that the asker
/// goes on to its next name server.
pub const CONCURRENT_REQUESTS: usize = 1_024;

/// Forwarded requests under way at once: dead upstreams must not use up what the mesh's own names need.
pub const CONCURRENT_FORWARDS: usize = 256;

/// Plugin calls under way at once, each on a thread: twice the instances that a naming plugin has.
pub const CONCURRENT_PLUGIN_CALLS: usize = 8;

/// How long a question may wait for its turn at the plugins; libc's resolvers give up after 5 s.
pub const PLUGIN_PATIENCE: Duration = Duration::from_secs(2);

/// Idle time of a TCP connection (RFC 7766 §6.2.3: of the order of seconds).
pub const TCP_IDLE: Duration = Duration::from_secs(5);

/// Answers waiting to be written to one TCP connection.
pub const TCP_RESPONSES: usize = 32;

/// Connections that wait to be accepted.
pub const TCP_BACKLOG: i32 = 256;

/// Bytes of an answer over UDP, whatever more the asker would take: not fragmented on any path (DNS flag day 2020).
pub const UDP_PAYLOAD: u16 = 1_232;

/// Bytes of an answer over UDP to who says nothing of sizes (RFC 1035 §4.2.1).
pub const PLAIN_UDP_PAYLOAD: u16 = 512;

/// What is under way when a socket is to be closed has so long.
pub const CLOSING: Duration = Duration::from_millis(500);

/// First and longest pause before an address that could not be bound is tried again: `wg0` may come any moment, and
/// another server's port may stay taken for good.
pub const BIND_RETRY: (Duration, Duration) = (Duration::from_millis(100), Duration::from_secs(3));

/// Age at which the list of this host's addresses is read again.
pub const OWN_ADDRESSES_AGE: Duration = Duration::from_secs(5);

// --- Answers

/// Answers of plugins kept in each of the cache's two halves; some hundred bytes each.
pub const CACHE_HALF: usize = 4_096;

/// Targets of SRV records whose addresses are added: more would not fit beside them over UDP.
pub const ADDITIONAL_TARGETS: usize = 16;

/// Seconds that an answer of a plugin may be kept by who asked, unless set: names follow the mesh within this time.
pub const TTL_CEILING: u32 = 5;

/// Seconds that a negative answer may be kept, unless set.
pub const NEGATIVE_TTL: u32 = 10;

// --- Upstreams

/// Upstreams that are used.
pub const UPSTREAMS: usize = 8;

/// How long one upstream has for an answer, over UDP or TCP.
pub const UPSTREAM_PATIENCE: Duration = Duration::from_millis(1_200);

/// How long all upstreams together have: below the 5 s after which libc's resolvers ask again.
pub const FORWARD_DEADLINE: Duration = Duration::from_secs(4);

// --- The host's resolver

/// Bytes of a `resolv.conf` that are read.
pub const RESOLV_CONF_BYTES: u64 = 64 << 10;

/// Name servers that libc's resolvers read (`MAXNS` of resolv.h).
pub const NAME_SERVERS: usize = 3;

/// How long one D-Bus call may take.
pub const DBUS_PATIENCE: Duration = Duration::from_secs(5);

/// Pause before D-Bus is looked for again.
pub const DBUS_RETRY: Duration = Duration::from_secs(10);

/// How long the DNS server has to answer the question that proves that it is up.
pub const PROBE_PATIENCE: Duration = Duration::from_millis(500);

/// Times that question is asked: it goes over UDP.
pub const PROBES: usize = 3;

/// Host names of services that systemd-resolved is told to ask us for; it takes 256 domains a link, of which the
/// reverse zones and the search domain are 65.
pub const ROUTED_HOSTS: usize = 128;
