//! Who this server is: what commissioning left on disk.

use std::io;
use std::path::PathBuf;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::{Deserialize, Serialize};
use servos_mesh::{DnsLabel, HostName, MeshAddress};
use servos_tunnel::PrivateKey;
use zeroize::Zeroizing;

use crate::durable_file;
use crate::paths::Paths;

/// The public part, `identity.json`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// Name of the organisation.
    pub organisation: String,
    /// This server's name.
    pub name: DnsLabel,
    /// This server's address.
    pub address: MeshAddress,
    /// Search domain of the mesh.
    pub domain: HostName,
    /// The control plane, `https://host:port`.
    pub control_url: String,
    /// SHA-256 of its certificate in base64; none where a public authority vouches for it.
    pub control_fingerprint: Option<String>,
    /// Address that peers are told, if the operator named one.
    pub endpoint_ip: Option<std::net::IpAddr>,
    /// Port that peers are told, if it is not the one that we listen on.
    pub endpoint_port: Option<u16>,
}

impl Identity {
    /// The fingerprint's 32 bytes.
    pub fn fingerprint(&self) -> Option<[u8; 32]> {
        STANDARD.decode(self.control_fingerprint.as_ref()?).ok()?.try_into().ok()
    }

    /// The text form of a fingerprint.
    pub fn fingerprint_text(bytes: &[u8; 32]) -> String {
        STANDARD.encode(bytes)
    }
}

/// The identity with its secrets.
pub struct Commissioned {
    /// The public part.
    pub identity: Identity,
    /// Made on this server; it never leaves it.
    pub private_key: PrivateKey,
    /// Bearer credential for the control plane.
    pub credential: Zeroizing<String>,
}

/// Whether this server is commissioned.
pub fn is_commissioned(paths: &Paths) -> bool {
    paths.identity().exists()
}

/// Reads what commissioning left.
///
/// # Errors
///
/// [`IdentityError::NotCommissioned`], or the file that cannot be used.
pub fn load(paths: &Paths) -> Result<Commissioned, IdentityError> {
    let path = paths.identity();
    let text = match std::fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Err(IdentityError::NotCommissioned),
        other => other.map_err(|source| IdentityError::Read { path: path.clone(), source })?,
    };
    let identity: Identity =
        serde_json::from_slice(&text).map_err(|error| IdentityError::Damaged { path, problem: error.to_string() })?;
    let path = paths.private_key();
    let key = durable_file::read_secret(&path).map_err(|source| IdentityError::Read { path: path.clone(), source })?;
    let private_key =
        PrivateKey::from_base64(&key).map_err(|error| IdentityError::Damaged { path, problem: error.to_string() })?;
    let path = paths.credential();
    let credential = durable_file::read_secret(&path).map_err(|source| IdentityError::Read { path, source })?;
    Ok(Commissioned { identity, private_key, credential })
}

/// Keeps what commissioning brought; `identity.json` last, since its presence means that all is there. What an earlier
/// life left goes first: a decommissioning may have been cut off.
///
/// # Errors
///
/// The file that could not be written.
pub fn store(paths: &Paths, commissioned: &Commissioned) -> Result<(), IdentityError> {
    let write = |path: PathBuf, bytes: &[u8]| {
        durable_file::write(&path, bytes, 0o600).map_err(|source| IdentityError::Write { path, source })
    };
    let folder = paths.state.clone();
    durable_file::private_folder(&folder).map_err(|source| IdentityError::Write { path: folder, source })?;
    forget(paths)?;
    write(paths.private_key(), commissioned.private_key.to_base64().as_bytes())?;
    write(paths.credential(), commissioned.credential.as_bytes())?;
    let mut text = serde_json::to_vec_pretty(&commissioned.identity)
        .map_err(|error| IdentityError::Damaged { path: paths.identity(), problem: error.to_string() })?;
    text.push(b'\n');
    write(paths.identity(), &text)
}

/// Forgets who this server is; `identity.json` first, since without it nothing of the rest counts. What is not there is
/// no error.
///
/// # Errors
///
/// The file that could not be removed; to be done again.
pub fn forget(paths: &Paths) -> Result<(), IdentityError> {
    let files = [
        paths.identity(),
        paths.credential(),
        paths.key_rotation(),
        paths.next_private_key(),
        paths.private_key(),
        paths.mesh_state(),
        paths.mesh_deltas(),
        paths.handshakes(),
        paths.handshakes().with_extension("new"),
        paths.sessions(),
        paths.sessions().with_extension("new"),
    ];
    for path in files {
        durable_file::remove(&path).map_err(|source| IdentityError::Write { path, source })?;
    }
    durable_file::sweep(&paths.state).map_err(|source| IdentityError::Write { path: paths.state.clone(), source })
}

/// Why there is no usable identity.
#[derive(Debug, thiserror::Error)]
pub enum IdentityError {
    /// Nothing is there.
    #[error(
        "this server is not commissioned: run `servos-agent commission` with a token of `servos-control token create`"
    )]
    NotCommissioned,
    /// A file cannot be read.
    #[error("cannot read {}: run as root, or commission the server again", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file cannot be written.
    #[error("cannot write {}", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file holds something else.
    #[error("{} is damaged ({problem}): restore it from a backup, or decommission and commission again", path.display())]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        problem: String,
    },
}
