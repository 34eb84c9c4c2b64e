//! Where the agent keeps its files; each can be moved in `agent.toml`, for tests and for unusual hosts.

use std::path::{Path, PathBuf};

use serde::Deserialize;

/// Folders of the agent.
#[derive(Clone, Debug, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Paths {
    /// Keys, credential, state, plugin cache. 0700.
    pub state: PathBuf,
    /// Status socket and lock.
    pub run: PathBuf,
    /// Drop-in plugins.
    pub plugins: PathBuf,
}

impl Default for Paths {
    fn default() -> Self {
        Self { state: "/var/lib/servos".into(), run: "/run/servos".into(), plugins: "/etc/servos/plugins.d".into() }
    }
}

impl Paths {
    /// The private key, base64, 0600.
    pub fn private_key(&self) -> PathBuf {
        self.state.join("private-key")
    }

    /// While the key is rotated: the next one, base64, 0600.
    pub fn next_private_key(&self) -> PathBuf {
        self.state.join("private-key.next")
    }

    /// While the key is rotated: how far that is.
    pub fn key_rotation(&self) -> PathBuf {
        self.state.join("key-rotation.json")
    }

    /// The bearer credential, 0600.
    pub fn credential(&self) -> PathBuf {
        self.state.join("credential")
    }

    /// Who this server is. Its presence means "commissioned".
    pub fn identity(&self) -> PathBuf {
        self.state.join("identity.json")
    }

    /// Times of handshakes, so that none can be replayed.
    pub fn handshakes(&self) -> PathBuf {
        self.state.join("handshakes")
    }

    /// With whom there are sessions, so that after a restart keys are agreed anew at once.
    pub fn sessions(&self) -> PathBuf {
        self.state.join("sessions")
    }

    /// The last mesh state, as received.
    pub fn mesh_state(&self) -> PathBuf {
        self.state.join("mesh-state.bin")
    }

    /// Deltas that lead on from it.
    pub fn mesh_deltas(&self) -> PathBuf {
        self.state.join("mesh-state.deltas")
    }

    /// Compiled plugins.
    pub fn plugin_cache(&self) -> PathBuf {
        self.state.join("plugin-cache")
    }

    /// The status socket.
    pub fn socket(&self) -> PathBuf {
        self.run.join("agent.sock")
    }

    /// Held by the running agent.
    pub fn lock(&self) -> PathBuf {
        self.run.join("agent.lock")
    }
}

/// Where the settings are unless `--config` says otherwise.
pub fn default_settings() -> &'static Path {
    Path::new("/etc/servos/agent.toml")
}
