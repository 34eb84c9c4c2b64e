//! Whose plugins are loaded: detached ed25519 signatures (RFC 8032) over the whole file, by keys of the operator's.
//!
//! The file beside a plugin (`NN-name.toml`) is not signed: it is the operator's own.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use ring::signature::{ED25519, ED25519_PUBLIC_KEY_LEN, UnparsedPublicKey};

use crate::limits::MAX_TRUSTED_KEYS;

/// The keys of which one must have signed a plugin.
#[derive(Clone, Debug)]
pub struct Trust {
    keys: Vec<[u8; ED25519_PUBLIC_KEY_LEN]>,
}

impl Trust {
    /// Trusts those keys, each the base64 of 32 bytes.
    ///
    /// # Errors
    ///
    /// [`TrustError`] if there is none, there are too many, or one is no key.
    pub fn new(keys: &[String]) -> Result<Self, TrustError> {
        if keys.is_empty() {
            return Err(TrustError::NoKey);
        }
        if keys.len() > MAX_TRUSTED_KEYS {
            return Err(TrustError::TooManyKeys);
        }
        let read = |text: &String| {
            let bytes = STANDARD.decode(text.trim()).ok().and_then(|bytes| bytes.try_into().ok());
            bytes.ok_or_else(|| TrustError::Key(text.clone()))
        };
        Ok(Self { keys: keys.iter().map(read).collect::<Result<_, _>>()? })
    }

    /// Whether one of the keys signed the file; `signature` is the text beside it, base64 on one line.
    ///
    /// # Errors
    ///
    /// [`SignatureError`] with what is wrong.
    pub fn check(&self, file: &[u8], signature: Option<&str>) -> Result<(), SignatureError> {
        let text = signature.ok_or(SignatureError::Unsigned)?;
        let signature = STANDARD.decode(text.trim()).map_err(|_| SignatureError::Malformed)?;
        // `ring` refuses signatures of another length, and points and scalars that are not canonical.
        let by = |key: &[u8; ED25519_PUBLIC_KEY_LEN]| UnparsedPublicKey::new(&ED25519, key).verify(file, &signature);
        match self.keys.iter().any(|key| by(key).is_ok()) {
            true => Ok(()),
            false => Err(SignatureError::Wrong),
        }
    }
}

/// Why keys cannot be trusted.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum TrustError {
    /// No plugin would ever be loaded.
    #[error("require_signed without trusted_keys: give the keys that may sign, or no drop-in is ever loaded")]
    NoKey,
    /// More than anybody looks after.
    #[error("trusted_keys: {MAX_TRUSTED_KEYS} at most")]
    TooManyKeys,
    /// No key.
    #[error("trusted_keys: {0:?} is no ed25519 public key: give the base64 of its 32 bytes")]
    Key(String),
}

/// Why a file is not trusted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum SignatureError {
    /// There is no signature.
    #[error("is not signed: [plugins] require_signed wants its signature beside it, in NN-name.wasm.sig")]
    Unsigned,
    /// No base64.
    #[error("its .sig is no signature: it must be the base64 of 64 bytes on one line")]
    Malformed,
    /// Another file, or another key.
    #[error("its .sig is not by a key of [plugins] trusted_keys over this very file: was the file altered?")]
    Wrong,
}
