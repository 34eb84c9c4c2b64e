//! A server's public key: 32 bytes of Curve25519, written in base64 as WireGuard does.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout, Unaligned};

/// A Curve25519 public key, never all zero.
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
    /// [`KeyError::Zero`] for 32 zero bytes, which no private key has.
    pub fn from_bytes(bytes: [u8; 32]) -> Result<Self, KeyError> {
        if bytes == [0; 32] {
            return Err(KeyError::Zero);
        }
        Ok(Self(bytes))
    }

    /// The key's 32 bytes.
    pub fn as_bytes(&self) -> &[u8; 32] {
        &self.0
    }

    pub(crate) fn is_zero(&self) -> bool {
        self.0 == [0; 32]
    }
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
}
