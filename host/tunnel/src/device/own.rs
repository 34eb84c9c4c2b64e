//! This server's own key, or for a while two of them: while it rotates, peers may know it by either.
//!
//! What was agreed in handshakes does not hang on them any more: sessions are not touched when they change. Initiations
//! to either are answered; ours go out under the present one, and under the other in turn while nobody answers.

use std::sync::Arc;
use std::time::{Duration, Instant};

use super::Device;
use crate::PrivateKey;
use crate::limits::{OTHER_KEY_AFTER, REKEY_TIMEOUT};
use crate::noise::{Addressed, Guard};

/// A server's own keys.
#[derive(Clone, Debug)]
pub struct OwnKeys {
    /// The one that its peers know it by, as far as it knows.
    pub present: PrivateKey,
    /// While it rotates: the one before, or the one to come.
    pub other: Option<PrivateKey>,
}

impl From<PrivateKey> for OwnKeys {
    fn from(present: PrivateKey) -> Self {
        Self { present, other: None }
    }
}

/// This server's keys, and what follows from them.
pub(super) struct Own {
    /// None before one was configured: nothing is sent or answered then.
    keys: Option<OwnKeys>,
    pub(super) guard: Guard,
}

impl Own {
    pub(super) fn new(now: Instant, key: Option<PrivateKey>, handshakes_a_second: u32) -> Self {
        let public = key.as_ref().map_or_else(|| PrivateKey::generate().public_key(), PrivateKey::public_key);
        Self { keys: key.map(OwnKeys::from), guard: Guard::new(now, &public, handshakes_a_second) }
    }

    /// The key that peers know us by, once there is one.
    pub(super) fn present(&self) -> Option<&PrivateKey> {
        self.keys.as_ref().map(|keys| &keys.present)
    }

    /// The key that a message was addressed to.
    pub(super) fn addressed(&self, addressed: Addressed) -> Option<&PrivateKey> {
        match addressed {
            Addressed::Present => self.present(),
            Addressed::Other => self.keys.as_ref()?.other.as_ref(),
        }
    }

    /// The key for an initiation that was sent `tries` times before, and how long its answer is waited for.
    pub(super) fn for_initiation(&self, tries: u32) -> Option<(&PrivateKey, Duration)> {
        let keys = self.keys.as_ref()?;
        match &keys.other {
            Some(_) if tries == 0 => Some((&keys.present, OTHER_KEY_AFTER)),
            Some(other) if tries % 2 == 1 => Some((other, REKEY_TIMEOUT)),
            _ => Some((&keys.present, REKEY_TIMEOUT)),
        }
    }
}

impl Device {
    /// Answers to these keys from here on. Sessions go on as they are; what was counted of handshakes goes on, too.
    pub fn set_keys(&self, keys: OwnKeys) {
        let other = keys.other.as_ref().map(PrivateKey::public_key);
        let guard = self.common.own.load().guard.to(&keys.present.public_key(), other.as_ref());
        self.common.own.store(Arc::new(Own { keys: Some(keys), guard }));
    }
}
