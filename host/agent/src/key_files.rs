//! The server's keys on disk while one gives way to the next, so that an agent that is killed at any moment goes on.
//!
//! | `private-key` | `private-key.next` | `key-rotation.json` | |
//! |---|---|---|---|
//! | present | | | no rotation |
//! | present | next | | cut off before anybody was told of the next key, which is removed |
//! | before | next | `seen`: null | both are answered; the control plane is told of the next key until the mesh has it |
//! | before | next | `seen`: when | the mesh has the next key; both are answered until the transition is over |
//! | next | next or none | any | cut off after the one write that ends it; the other files are removed |

use std::fs;
use std::io;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};
use servos_mesh::PublicKey;
use servos_tunnel::PrivateKey;
use tracing::warn;

use crate::durable_file;
use crate::identity::IdentityError;
use crate::limits::{KEY_TRANSITION, MAX_KEY_TRANSITION};
use crate::paths::Paths;

/// How far a rotation is, `key-rotation.json`. Times are Unix seconds.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rotation {
    begun: u64,
    /// Seconds.
    transition: u64,
    /// When the mesh had the next key.
    seen: Option<u64>,
}

impl Rotation {
    /// One that begins now; both keys are answered for `transition` after the mesh has the next.
    pub fn begin(now: SystemTime, transition: Duration) -> Self {
        Self { begun: seconds(now), transition: transition.as_secs(), seen: None }
    }

    /// When it began.
    pub fn begun(&self) -> SystemTime {
        UNIX_EPOCH + Duration::from_secs(self.begun)
    }

    /// Whether the mesh has had the next key.
    pub fn is_seen(&self) -> bool {
        self.seen.is_some()
    }

    /// The mesh has the next key.
    pub fn see(&mut self, now: SystemTime) {
        self.seen.get_or_insert(seconds(now));
    }

    /// How long both keys are answered after the mesh has the next.
    pub fn transition(&self) -> Duration {
        Duration::from_secs(self.transition)
    }

    /// What is left of the transition for an agent that starts; none before the mesh has the next key. A clock that was
    /// set back makes it no longer than it was at first.
    pub fn left(&self, now: SystemTime) -> Option<Duration> {
        let ends = UNIX_EPOCH + Duration::from_secs(self.seen?.saturating_add(self.transition));
        Some(ends.duration_since(now).unwrap_or_default().min(self.transition()))
    }

    /// Whether an agent can have written it.
    fn is_credible(&self, now: SystemTime) -> bool {
        let latest = seconds(now).saturating_add(YEAR);
        self.transition <= MAX_KEY_TRANSITION.as_secs()
            && self.begun <= latest
            && self.seen.is_none_or(|seen| seen <= latest)
    }
}

/// A time that lies further ahead is a damaged file's.
const YEAR: u64 = 365 * 24 * 3_600;

fn seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).unwrap_or_default().as_secs()
}

/// A rotation with its key.
#[derive(Clone, Debug)]
pub struct Next {
    /// The key to come.
    pub key: PrivateKey,
    /// How far it is.
    pub rotation: Rotation,
}

/// Finds the rotation that is under way, if one is, and clears away what a killed agent left of others. `present` is the
/// public half of what `private-key` holds.
///
/// # Errors
///
/// The file that cannot be used.
pub fn load(paths: &Paths, present: &PublicKey) -> Result<Option<Next>, IdentityError> {
    let path = paths.next_private_key();
    let key = match durable_file::read_secret(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return clear(paths).map(|()| None),
        other => other.map_err(|source| IdentityError::Read { path: path.clone(), source })?,
    };
    let path_of_rotation = paths.key_rotation();
    let text = match fs::read(&path_of_rotation) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return clear(paths).map(|()| None),
        other => other.map_err(|source| IdentityError::Read { path: path_of_rotation.clone(), source })?,
    };
    let key =
        PrivateKey::from_base64(&key).map_err(|error| IdentityError::Damaged { path, problem: error.to_string() })?;
    if key.public_key() == *present {
        return clear(paths).map(|()| None);
    }
    let now = SystemTime::now();
    let rotation = serde_json::from_slice(&text).ok().filter(|rotation: &Rotation| rotation.is_credible(now));
    let rotation = rotation.unwrap_or_else(|| {
        // The mesh may have the key: what is sure is that both must be answered.
        warn!(path = %path_of_rotation.display(), "damaged: the rotation of the key begins its transition again");
        Rotation::begin(now, KEY_TRANSITION)
    });
    Ok(Some(Next { key, rotation }))
}

/// Keeps the next key, and that a rotation is under way. When this returns somebody may be told of the key.
///
/// # Errors
///
/// The file that could not be written; nothing is under way then.
pub fn begin(paths: &Paths, next: &Next) -> Result<(), IdentityError> {
    let path = paths.next_private_key();
    durable_file::write(&path, next.key.to_base64().as_bytes(), 0o600)
        .map_err(|source| IdentityError::Write { path, source })?;
    keep(paths, &next.rotation)
}

/// Keeps how far the rotation is.
///
/// # Errors
///
/// The file that could not be written; the one before is still there.
pub fn keep(paths: &Paths, rotation: &Rotation) -> Result<(), IdentityError> {
    let path = paths.key_rotation();
    let text = serde_json::to_vec(rotation)
        .map_err(|error| IdentityError::Damaged { path: path.clone(), problem: error.to_string() })?;
    durable_file::write(&path, &text, 0o600).map_err(|source| IdentityError::Write { path, source })
}

/// Puts the next key in the place of the one before, which is gone then. May be done again.
///
/// # Errors
///
/// The file that could not be written; the rotation goes on.
pub fn finish(paths: &Paths, key: &PrivateKey) -> Result<(), IdentityError> {
    let path = paths.private_key();
    durable_file::write(&path, key.to_base64().as_bytes(), 0o600)
        .map_err(|source| IdentityError::Write { path, source })?;
    clear(paths)
}

/// Forgets a next key: one that nobody was told of, or that `private-key` holds.
///
/// # Errors
///
/// The file that could not be removed.
pub fn clear(paths: &Paths) -> Result<(), IdentityError> {
    for path in [paths.key_rotation(), paths.next_private_key()] {
        durable_file::remove(&path).map_err(|source| IdentityError::Write { path, source })?;
    }
    Ok(())
}
