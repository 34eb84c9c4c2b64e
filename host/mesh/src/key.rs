//! A server's public key: 32 bytes of Curve25519, written in base64 as WireGuard does.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// The points of small order, as X25519 reads them: without the top bit (RFC 7748 §5), and two of them in a second form, of
/// numbers that are no remainders (<https://cr.yp.to/ecdh.html#validate>). With each, every secret agrees on zeros.
const SMALL_ORDER: [[u8; 32]; 7] = [
    [0; 32],
    number(1, 0, 0),
    [
        0xe0, 0xeb, 0x7a, 0x7c, 0x3b, 0x41, 0xb8, 0xae, 0x16, 0x56, 0xe3, 0xfa, 0xf1, 0x9f, 0xc4, 0x6a, 0xda, 0x09,
        0x8d, 0xeb, 0x9c, 0x32, 0xb1, 0xfd, 0x86, 0x62, 0x05, 0x16, 0x5f, 0x49, 0xb8, 0x00,
    ],
    [
        0x5f, 0x9c, 0x95, 0xbc, 0xa3, 0x50, 0x8c, 0x24, 0xb1, 0xd0, 0xb1, 0x55, 0x9c, 0x83, 0xef, 0x5b, 0x04, 0x44,
        0x5c, 0xc4, 0x58, 0x1c, 0x8e, 0x86, 0xd8, 0x22, 0x4e, 0xdd, 0xd0, 0x9f, 0x11, 0x57,
    ],
    // The prime less one, the prime, and one more.
    number(0xec, 0xff, 0x7f),
    number(0xed, 0xff, 0x7f),
    number(0xee, 0xff, 0x7f),
];

/// A Curve25519 public key that handshakes can be made with. In a record, which is read where it lies, it may be any 32
/// bytes; [`PeerTable`](crate::PeerTable) skips those that are none.
#[derive(
    Clone,
    Copy,
    PartialEq,
    Eq,
    PartialOrd,
    Ord,
    Hash,
    Serialize,
    Deserialize,
    FromBytes,
    IntoBytes,
    Immutable,
    KnownLayout,
    Unaligned,
)]
#[serde(try_from = "String", into = "String")]
#[repr(transparent)]
pub struct PublicKey([u8; 32]);

impl PublicKey {
    /// Takes the key's bytes.
    ///
    /// # Errors
    ///
    /// [`KeyError::Zero`] for 32 zero bytes, [`KeyError::SmallOrder`] for the other points of small order: no private key
    /// has them.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        let key = Self::from_any_bytes(bytes)?;
        if key.is_of_small_order() { Err(KeyError::SmallOrder) } else { Ok(key) }
    }

    /// Takes the key's bytes, also if it is a point of small order: for what an earlier version accepted and somebody
    /// keeps, and for peers that `wg` names, which the kernel takes and sends nothing. It is of no use where it is used.
    ///
    /// # Errors
    ///
    /// [`KeyError::Zero`]
    pub fn from_any_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        if bytes == [0; 32] { Err(KeyError::Zero) } else { Ok(Self(bytes)) }
    }

    /// The key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }

    pub(crate) fn is_of_small_order(&self) -> bool {
        let mut read = self.0;
        read[31] &= 0x7f;
        // Of nearly all keys the lowest byte is enough.
        SMALL_ORDER.iter().any(|point| point[0] == read[0] && *point == read)
    }
}

/// A number of 32 bytes, by its lowest one, those between, and the highest.
const fn number(lowest: u8, between: u8, highest: u8) -> [u8; 32] {
    let mut bytes = [between; 32];
    bytes[0] = lowest;
    bytes[31] = highest;
    bytes
}

impl FromStr for PublicKey {
    type Err = KeyError;

    fn from_str(text: &str) -> Result<Self, KeyError> {
        if text.len() != 44 {
            return Err(KeyError::Text);
        }
        let bytes = STANDARD.decode(text).map_err(|_| KeyError::Text)?;
        Self::from_bytes(bytes.try_into().map_err(|_| KeyError::Text)?)
    }
}

impl TryFrom<String> for PublicKey {
    type Error = KeyError;

    fn try_from(text: String) -> Result<Self, KeyError> {
        text.parse()
    }
}

impl From<PublicKey> for String {
    fn from(key: PublicKey) -> Self {
        key.to_string()
    }
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&STANDARD.encode(self.0))
    }
}

impl fmt::Debug for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

/// Why something is no public key.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum KeyError {
    /// Not 44 characters of base64.
    #[error("not a public key: expected 32 bytes in base64 (44 characters, as `wg pubkey` prints)")]
    Text,
    /// All zero.
    #[error("not a public key: all zero")]
    Zero,
    /// A point of small order: what is agreed with it is known to everybody.
    #[error("not a public key: no private key has it (a point of small order); make one with `wg genkey | wg pubkey`")]
    SmallOrder,
}
