//! The keys in force, and their way into the tunnel, whether it is up or comes up.

use parking_lot::Mutex;
use servos_mesh::PublicKey;
use servos_tunnel::OwnKeys;

use crate::shared_tunnel::SharedTunnel;

/// See the module.
pub struct KeyRing {
    keys: Mutex<OwnKeys>,
    tunnel: SharedTunnel,
}

impl KeyRing {
    /// Holds `keys` for whatever tunnel is there.
    pub fn new(keys: OwnKeys, tunnel: SharedTunnel) -> Self {
        Self { keys: Mutex::new(keys), tunnel }
    }

    /// All of them.
    pub fn held(&self) -> OwnKeys {
        self.keys.lock().clone()
    }

    /// The key that peers know this server by.
    pub fn public_key(&self) -> PublicKey {
        self.keys.lock().present.public_key()
    }

    /// Puts other keys in force; the tunnel has them when this returns.
    pub fn set(&self, keys: OwnKeys) {
        let mut held = self.keys.lock();
        *held = keys;
        self.give(&held);
    }

    /// Gives the keys to a tunnel that has just come up.
    pub fn hand_over(&self) {
        self.give(&self.keys.lock());
    }

    /// Under the lock, so that the last keys set are the last that the tunnel gets.
    fn give(&self, keys: &OwnKeys) {
        if let Some(tunnel) = &*self.tunnel.load() {
            tunnel.set_keys(keys.clone());
        }
    }
}
