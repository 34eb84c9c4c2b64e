//! What the filter and its loader agree on: numbers of verdicts, sizes and names of maps. Included by both.

/// Addresses of 100.64.0.0/10 (RFC 6598).
pub const ADDRESSES: u32 = 1 << 22;

/// Network address of 100.64.0.0/10, host order.
pub const BASE: u32 = 0x6440_0000;

/// 64-bit words of a bitmap over all addresses: 512 KiB.
pub const WORDS: u32 = ADDRESSES / 64;

/// Bytes of the ring buffer: 4,096 events of 16 bytes, far more than one wake-up of the agent leaves unread.
pub const RING_BYTES: u32 = 64 << 10;

/// Addresses with a wake event that the agent has not seen to. The oldest is forgotten beyond, and may raise one more.
pub const PENDING: u32 = 65_536;

/// Packets to a peer with a session: straight on.
pub const ACTIVE: u32 = 0;
/// Packets to a known peer without session: on, and a wake event unless one is pending.
pub const WOKE: u32 = 1;
/// Packets to an address of the mesh that is nobody's: they end here.
pub const UNKNOWN: u32 = 2;
/// Packets to anything but an address of the mesh that a server can have: they end here.
pub const FOREIGN: u32 = 3;
/// Wake events that found the ring full; the next packet tries again.
pub const RING_FULL: u32 = 4;
/// How many counters there are.
pub const COUNTERS: u32 = 5;
