//! What a datagram claims to be, by type, reserved bytes and length alone (WireGuard paper §5.4).

use crate::limits::OVERHEAD;

/// Bytes of an initiation, its two MACs included (§5.4.2).
pub(crate) const INITIATION: usize = 148;

/// Bytes of a response, its two MACs included (§5.4.3).
pub(crate) const RESPONSE: usize = 92;

/// Bytes of a cookie reply (§5.4.7).
pub(crate) const COOKIE: usize = 64;

/// Bytes before the sealed packet of a transport message: type, receiver, counter (§5.4.6).
pub(crate) const HEADER: usize = 16;

/// A WireGuard message, by its head.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Message {
    Initiation,
    Response { receiver: u32 },
    Cookie { receiver: u32 },
    Transport { receiver: u32 },
}

impl Message {
    /// `None` for what is no WireGuard message.
    pub(crate) fn of(datagram: &[u8]) -> Option<Self> {
        match (word(datagram, 0)?, datagram.len()) {
            (1, INITIATION) => Some(Self::Initiation),
            (2, RESPONSE) => Some(Self::Response { receiver: word(datagram, 8)? }),
            (3, COOKIE) => Some(Self::Cookie { receiver: word(datagram, 4)? }),
            (4, OVERHEAD..) => Some(Self::Transport { receiver: word(datagram, 4)? }),
            _ => None,
        }
    }
}

/// The little-endian word that begins at byte `at`.
pub(super) fn word(bytes: &[u8], at: usize) -> Option<u32> {
    bytes.get(at..at + 4).and_then(|four| four.try_into().ok()).map(u32::from_le_bytes)
}
