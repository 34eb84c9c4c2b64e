//! Every limit and time-out of the tunnel, each with its reason.

use std::num::NonZeroUsize;
use std::time::Duration;

/// What a device may hold, and for how long. Settings; tests shorten them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Limits {
    /// A session goes when no data has passed and no handshake was completed for so long: three minutes after its
    /// last keypair died ([`REJECT_AFTER_TIME`]).
    pub session_idle: Duration,
    /// Sessions at a time: about 6 KiB each, so 400 MB at most. For a further peer the one
    /// goes that was used least lately, if there is one that is not [`IN_USE`].
    pub sessions: usize,
    /// Packets that wait for handshakes, in all: about 6 MB of 1,420 bytes.
    pub held_packets: usize,
    /// Packets that wait for the handshake of one peer; the oldest gives way. The kernel's `MAX_STAGED_PACKETS`.
    pub held_packets_a_peer: usize,
    /// Handshakes a second before cookies are asked for. One costs the answering side about 0.4 ms: a sixth of a core.
    pub handshakes_a_second: u32,
}

impl Default for Limits {
    fn default() -> Self {
        Self {
            session_idle: Duration::from_secs(360),
            sessions: 65_536,
            held_packets: 4_096,
            held_packets_a_peer: 128,
            handshakes_a_second: 400,
        }
    }
}

/// A keypair this old is renewed when its initiator sends (WireGuard paper §6.1).
pub const REKEY_AFTER_TIME: Duration = Duration::from_secs(120);

/// A keypair this old neither seals nor opens (§6.1).
pub const REJECT_AFTER_TIME: Duration = Duration::from_secs(180);

/// Retries of a handshake end this long after the last packet that asked for it (§6.1).
pub const REKEY_ATTEMPT_TIME: Duration = Duration::from_secs(90);

/// An initiation unanswered for so long, plus jitter, is sent again (§6.1).
pub const REKEY_TIMEOUT: Duration = Duration::from_secs(5);

/// Longest jitter on [`REKEY_TIMEOUT`] (§6.1).
pub const REKEY_JITTER: Duration = Duration::from_millis(333);

/// While a server has two keys, an initiation under the first that is unanswered for so long is followed by one under
/// the other: a peer that does not know the first says nothing, and one that does answers within a long way's round trip.
pub const OTHER_KEY_AFTER: Duration = Duration::from_secs(1);

/// Within so long after a peer rotated its key, sessions in use with it begin a handshake, each at a time of its own:
/// 12,000 in all stay below [`Limits::handshakes_a_second`], and it is over well before their keypairs are renewed.
pub const ROTATED_KEY_SPREAD: Duration = Duration::from_secs(30);

/// Data received and nothing sent for so long: an empty packet answers (§6.5).
pub const KEEPALIVE_TIMEOUT: Duration = Duration::from_secs(10);

/// Initiations unanswered for so long: the link is down.
pub const LINK_DOWN_AFTER: Duration = Duration::from_secs(10);

/// A roamed endpoint that was heard from within this time stands against a changed record: a live peer answers
/// within [`KEEPALIVE_TIMEOUT`] and [`REKEY_TIMEOUT`].
pub const ROAMED_FRESH: Duration = Duration::from_secs(15);

/// Messages that a keypair seals before it is renewed (§6.1).
pub const REKEY_AFTER_MESSAGES: u64 = 1 << 60;

/// Messages that a keypair seals and opens at most (§6.1); the rest is the replay window's room.
pub const REJECT_AFTER_MESSAGES: u64 = u64::MAX - (1 << 13);

/// After a restart, the time between two handshakes that are begun with those who had sessions before: less than half of a
/// core computes them.
pub const RESUME_PAUSE: Duration = Duration::from_millis(1);

/// A time of a handshake that lies further ahead is a damaged file's.
pub const HANDSHAKE_FUTURE: Duration = Duration::from_secs(24 * 3_600);

/// Records of times that are out of date before their file is written anew, beyond as many as are in use.
pub const JOURNAL_SLACK: usize = 4_096;

/// Peers whose last handshake's time is kept (16 bytes each): one for each address of the mesh.
pub const KEPT_TIMESTAMPS: usize = 1 << 22;

/// Messages of handshakes that wait for their turn. A flood fills it with what costs microseconds; of true ones, this is
/// a fifth of a second's work.
pub const HANDSHAKE_BACKLOG: usize = 1_024;

/// A session that was used within this time does not give way to another.
pub const IN_USE: Duration = Duration::from_secs(10);

/// Sessions that are looked at, to find one that may give way: constant work, and nearly the oldest.
pub const EVICTION_SAMPLE: usize = 64;

/// Handshakes a second that one source is granted when there are too many (the kernel's `PACKETS_PER_SECOND`), and how
/// many at once (`PACKETS_BURSTABLE`).
pub const SOURCE_HANDSHAKES_A_SECOND: u32 = 20;
/// See [`SOURCE_HANDSHAKES_A_SECOND`].
pub const SOURCE_BURST: u32 = 5;

/// Cookies that one source gets a second: as many as it could use.
pub const SOURCE_COOKIES_A_SECOND: u8 = 2 * SOURCE_HANDSHAKES_A_SECOND as u8;

/// Cookies a second beyond those of a source, for whoever comes first: of a flood that bears a peer's own address, that peer
/// would else get none. Where 50,000 a second are sent in its name, one in 25 of its initiations brings it a cookie, and
/// each is good for two minutes.
pub const SHARED_COOKIES_A_SECOND: u16 = 2_048;

/// Cookies a second in all, whatever sources are made up: one takes about 9 us, nearly all of it the kernel's.
pub const COOKIES_A_SECOND: u16 = 16_384;

/// Counters of cookies: sources share them by chance.
pub const COOKIE_COUNTERS: usize = 4_096;

/// Sources of handshakes that are told apart when there are too many.
pub const HANDSHAKE_SOURCES: usize = 8_192;

/// Lanes at most: a lane fills a core each way, and the interface has no more than 256 queues (`MAX_TAP_QUEUES`).
pub const MAX_LANES: usize = 64;

/// Lanes unless the settings say otherwise: a quarter of the cores, since whoever runs services wants the others.
pub fn lanes(cores: usize) -> NonZeroUsize {
    const MOST: usize = 4;
    NonZeroUsize::new((cores / 4).min(MOST)).unwrap_or(NonZeroUsize::MIN)
}

/// Sealed packets are padded to a multiple of this many bytes (§5.4.6).
pub const PADDING: usize = 16;

/// Bytes that a transport message adds to a packet: header of 16, tag of 16 (§5.4.6).
pub const OVERHEAD: usize = 32;

/// Bytes that IPv6, UDP and WireGuard add: what the tunnel's MTU stays below the way's.
pub const OUTER_OVERHEAD: u16 = 80;

/// Lowest MTU of the interface: IPv6 asks for it (RFC 8200 §5).
pub const MIN_MTU: u16 = 1_280;

/// Highest MTU of the interface: what fits one UDP datagram over IPv4 with room for padding.
pub const MAX_MTU: u16 = 65_424;

/// MTU while there is no route to learn it from: the kernel's default for WireGuard.
pub const DEFAULT_MTU: u16 = 1_420;

/// Highest MTU that is learnt from routes: jumbo frames. A loopback's 65,536 is nobody's way out.
pub const MAX_LEARNT_MTU: u16 = 9_000 - OUTER_OVERHEAD;

/// Bytes of one datagram batch on a socket (IPv4's limit for UDP).
pub const MAX_UDP_PAYLOAD: usize = 65_507;

/// Datagrams that one call sends on any kernel (`UDP_MAX_SEGMENTS` of `linux/udp.h`; newer ones may take more).
pub const MAX_UDP_SEGMENTS: usize = 64;

/// So many calls' worth of datagrams gather before they are sent, where one flow alone has any; else one. With two the
/// sender has 5 % less work than with one, with four no less.
pub const CALLS_OF_ONE_FLOW: usize = 2;

/// Full batches in a row after which also the rest of the last one is sent, and whoever stops the tunnel is looked at.
pub const BATCHES_IN_A_ROW: usize = 8;

/// Bytes of packets of the interface that wait to be sealed: what one stream has under way by the kernel's default windows
/// (`net.ipv4.tcp_wmem`), so that a burst loses nothing.
pub const BACKLOG_BYTES: usize = 4 << 20;

/// Packets that wait to be sealed. Others wait in the kernel.
pub const BACKLOG_PACKETS: usize = 128;

/// Flows that are told apart while they wait; more share by chance (RFC 8290 §5.2.4 has as many).
pub const BACKLOG_FLOWS: usize = 1_024;

/// Bytes of one flow's turn: the longest packet before segmentation.
pub const BACKLOG_QUANTUM: isize = 65_536;

/// What a flow's packets may wait to be sealed for, but for a while: where two cores carried both ends of a stream of
/// 3.5 Gbit/s, packets beside it came in half the time (p99 3.5 ms in place of 7.5), the sender had 6 % less work, as what
/// it sealed was still in the cache, the receiver 4 % more, and the stream was 3 % slower. With 200 µs, and 2 ms for a
/// while, it was 12 % slower.
pub const CODEL_TARGET: Duration = Duration::from_micros(500);

/// For so long each packet of a flow waits beyond the target before one is taken: a round trip of a network with a queue
/// that stands (RFC 8289 §4.3). With twice as much others waited half as long again.
pub const CODEL_INTERVAL: Duration = Duration::from_millis(5);

/// A flow that has no more waiting is left alone, however slow the processor: two packets before segmentation.
pub const CODEL_SPARED_BYTES: usize = 131_072;

/// So many bytes are sealed before the interface is asked again, while others wait.
pub const TAKE_IN_BYTES: usize = 32_768;

/// Niceness of the threads that move packets: before all ordinary programs. Loaded, on few cores, the way through the
/// tunnel is a third as long.
pub const PACKETS_NICENESS: i32 = -15;

/// Packets that come one by one and close together gather for so long: at 200,000 a second ten of them, and a fifth of
/// what the way through two tunnels takes.
pub const GATHER: Duration = Duration::from_micros(50);

/// Wakes that follow each other within this are close: little more than they do where packets gather.
pub const CLOSE_WAKES: Duration = Duration::from_micros(75);

/// Receive and send buffer asked of each UDP socket: 4 MiB, some 20 ms at 1.6 Gbit/s.
pub const SOCKET_BUFFER: usize = 4 << 20;

/// A full socket buffer is waited for so long, then looked at whether to stop.
pub const SEND_WAIT: Duration = Duration::from_millis(100);

/// Segmentation that the kernel refused is tried again after so long: what stood in its way may be gone.
pub const SEGMENTATION_RETRY: Duration = Duration::from_secs(60);

/// The interface is down: so long until it is tried again.
pub const LINK_DOWN_WAIT: Duration = Duration::from_millis(200);

/// What somebody else sets is looked at this often, while packets come, the MTU and whether packets are forwarded: some
/// microseconds of work.
pub const SETTINGS_LOOK: Duration = Duration::from_secs(1);

/// Bytes of one request on the UAPI socket: half a million allowed IPs.
pub const UAPI_REQUEST_BYTES: usize = 32 << 20;

/// Somebody who serves the socket of our interface's name has so long to end.
pub const UAPI_HANDOVER: Duration = Duration::from_secs(2);

/// Bytes of one line of a request: `private_key=` and 64 digits is the longest that means something.
pub const UAPI_LINE_BYTES: usize = 512;

/// A client of the UAPI socket that says nothing for so long is hung up on, so that others get their turn.
pub const UAPI_TIMEOUT: Duration = Duration::from_secs(3);
