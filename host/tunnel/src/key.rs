//! This server's private key: erased from memory when dropped, never shown by `Debug`.

use std::fmt;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use servos_mesh::PublicKey;
use subtle::ConstantTimeEq as _;
use x25519_dalek::StaticSecret;
use zeroize::{Zeroize, Zeroizing};

/// A Curve25519 private key. Made on the server, never leaves it.
#[derive(Clone)]
pub struct PrivateKey {
    secret: StaticSecret,
    /// Computed once: every handshake needs it.
    public: PublicKey,
}

impl PrivateKey {
    /// Makes a key from the operating system's random numbers.
    pub fn generate() -> Self {
        let mut bytes: [u8; 32] = rand::random();
        let key = Self::from_bytes(&bytes);
        bytes.zeroize();
        key
    }

    /// Reads what `wg genkey` prints; white space around it is ignored.
    ///
    /// # Errors
    ///
    /// [`PrivateKeyError`] if it is not 32 bytes in base64.
    pub fn from_base64(text: &str) -> Result<Self, PrivateKeyError> {
        let mut decoded = STANDARD.decode(text.trim()).map(Zeroizing::new).map_err(|_| PrivateKeyError)?;
        let bytes: &mut [u8; 32] = decoded.as_mut_slice().try_into().map_err(|_| PrivateKeyError)?;
        Ok(Self::from_bytes(bytes))
    }

    /// A key of these bytes.
    pub fn from_bytes(bytes: &[u8; 32]) -> Self {
        let secret = StaticSecret::from(*bytes);
        let public = x25519_dalek::PublicKey::from(&secret).to_bytes();
        let public = PublicKey::from_bytes(public).expect("a clamped scalar times the base point is never zero");
        Self { secret, public }
    }

    /// The key as `wg genkey` prints it.
    pub fn to_base64(&self) -> Zeroizing<String> {
        Zeroizing::new(STANDARD.encode(Zeroizing::new(self.secret.to_bytes())))
    }

    /// The public half.
    pub fn public_key(&self) -> PublicKey {
        self.public
    }

    /// Whether it is the same key, in constant time.
    pub(crate) fn is(&self, other: &Self) -> bool {
        self.secret.as_bytes().ct_eq(other.secret.as_bytes()).into()
    }

    pub(crate) fn secret(&self) -> &StaticSecret {
        &self.secret
    }
}

impl fmt::Debug for PrivateKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("PrivateKey(redacted)")
    }
}

/// A text that is no private key. The text itself is never repeated.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("not a private key: expected 32 bytes in base64 (44 characters, as `wg genkey` prints)")]
pub struct PrivateKeyError;
