//! Credentials that were seen, by hash. As many entries as servers that poll.

use std::collections::HashMap;

use parking_lot::RwLock;

use crate::secrets::SecretHash;
use crate::store::CredentialHolder;

/// Whose which credential is. A missing entry says nothing.
#[derive(Default)]
pub(super) struct Credentials(RwLock<HashMap<SecretHash, CredentialHolder>>);

impl Credentials {
    pub(super) fn get(&self, hash: &SecretHash) -> Option<CredentialHolder> {
        self.0.read().get(hash).copied()
    }

    /// On the reader's thread alone, with what it has just read: see the module above.
    pub(super) fn remember(&self, hash: SecretHash, holder: CredentialHolder) {
        self.0.write().insert(hash, holder);
    }

    pub(super) fn forget(&self, hash: &SecretHash) {
        self.0.write().remove(hash);
    }

    pub(super) fn forget_all(&self) {
        self.0.write().clear();
    }

    pub(super) fn keep(&self, keep: impl Fn(&CredentialHolder) -> bool) {
        self.0.write().retain(|_, holder| keep(holder));
    }
}
