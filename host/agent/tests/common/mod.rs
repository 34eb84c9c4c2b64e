//! A server that was commissioned, without a control plane.

use servos_agent::identity::{Commissioned, Identity};
use servos_agent::paths::Paths;
use servos_mesh::MeshAddress;
use servos_tunnel::PrivateKey;
use tempfile::TempDir;
use zeroize::Zeroizing;

/// Folders of an agent, none of them there yet.
pub fn paths(folder: &TempDir) -> Paths {
    Paths {
        state: folder.path().join("state"),
        run: folder.path().join("run"),
        plugins: folder.path().join("plugins.d"),
    }
}

/// Its identity and secrets.
pub fn commissioned(name: &str) -> Commissioned {
    Commissioned {
        identity: Identity {
            organisation: "acme".to_owned(),
            name: name.parse().expect("a name"),
            address: MeshAddress::from_index(1).expect("an address"),
            domain: "mesh.internal".parse().expect("a domain"),
            control_url: "https://control:8443".to_owned(),
            control_fingerprint: None,
            endpoint_ip: None,
            endpoint_port: None,
        },
        private_key: PrivateKey::generate(),
        credential: Zeroizing::new(format!("credential of {name}")),
    }
}
