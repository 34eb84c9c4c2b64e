//! WireGuard's cryptography: handshakes, MACs and cookies, keypairs. Pure: times and bytes in, bytes out.
//!
//! | what | file | from |
//! |---|---|---|
//! | the handshake (paper §5.4.1–5.4.3) | `handshake.rs` | `snow`, the Noise library, with our curve (`curve.rs`) and cipher (`cipher.rs`) |
//! | MACs and cookies (§5.4.4, §5.4.7) | `macs.rs` | BLAKE2s, XChaCha20-Poly1305 |
//! | who may ask for a handshake, and how often (§5.3) | `guard.rs` | |
//! | sealing and opening in place (§5.4.6) | `keypair.rs`, `replay_window.rs`, `transport_key.rs` | `ring`; for full packets, where the processor has the vectors, `wide` or `half_wide` |

#[cfg(target_arch = "x86_64")]
mod chacha_state;
mod cipher;
mod curve;
mod guard;
#[cfg(target_arch = "x86_64")]
mod half_wide;
mod handshake;
mod keypair;
mod macs;
mod message;
mod replay_window;
mod transport_key;
#[cfg(target_arch = "x86_64")]
mod vectors;
#[cfg(target_arch = "x86_64")]
mod wide;
mod wiped;

pub(crate) use guard::{Addressed, Admission, Guard};
pub(crate) use handshake::{Initiation, PresharedKey, Received, SessionKeys, Tai64n};
pub(crate) use keypair::Keypair;
pub(crate) use macs::PeerMacs;
pub(crate) use message::{COOKIE, HEADER, INITIATION, Message, RESPONSE};
pub(crate) use replay_window::ReplayWindow;
pub(crate) use transport_key::{SIDE_BY_SIDE, seals_side_by_side};

/// Why a message was refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Refused {
    /// It does not authenticate, or nobody asked for it.
    Invalid,
    /// Its counter was seen before, or is too old to tell.
    Replayed,
    /// Its keypair is unknown or too old.
    NoKeypair,
}
