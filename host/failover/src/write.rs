//! Writing Traefik's file: only when it changes, and never half.

use std::fs::{File, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use tempfile::Builder;

/// Whether the file holds something else.
pub fn would_change(path: &Path, content: &str) -> bool {
    std::fs::read(path).map_or(true, |before| before != content.as_bytes())
}

/// Writes the file if it holds something else: temp file that Traefik does not read, fsync, rename. True if it did.
///
/// # Errors
///
/// [`WriteError`]; the old file is still there.
pub fn write_if_changed(path: &Path, content: &str) -> Result<bool, WriteError> {
    if !would_change(path, content) {
        return Ok(false);
    }
    let folder = path.parent().filter(|folder| folder.is_dir());
    let Some(folder) = folder else { return Err(WriteError::NoFolder { path: path.into() }) };
    let write = |source| WriteError::Write { path: path.into(), source };
    // Traefik reads *.yml, *.yaml and *.toml of the folder.
    let mut temp = Builder::new().prefix(".servos-mesh-").suffix(".part").tempfile_in(folder).map_err(write)?;
    temp.as_file().set_permissions(Permissions::from_mode(0o644)).map_err(write)?;
    temp.write_all(content.as_bytes()).map_err(write)?;
    temp.as_file().sync_all().map_err(write)?;
    temp.persist(path).map_err(|error| write(error.error))?;
    File::open(folder).and_then(|folder| folder.sync_all()).map_err(write)?;
    Ok(true)
}

/// Removes the file; Traefik then forgets what was in it.
///
/// # Errors
///
/// [`WriteError::Write`]
pub fn remove(path: &Path) -> Result<(), WriteError> {
    match std::fs::remove_file(path) {
        Err(source) if source.kind() != io::ErrorKind::NotFound => Err(WriteError::Write { path: path.into(), source }),
        _ => Ok(()),
    }
}

/// Why the file is not as it should be.
#[derive(Debug, thiserror::Error)]
pub enum WriteError {
    /// Its folder is not there.
    #[error(
        "the folder of {} does not exist: make it and let Traefik's file provider watch it, or set [failover] file",
        path.display()
    )]
    NoFolder {
        /// The file.
        path: PathBuf,
    },
    /// It cannot be written.
    #[error("cannot write {}: is its folder read-only?", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
