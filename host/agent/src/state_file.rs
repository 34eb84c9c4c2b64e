//! The last whole mesh state on disk: as received, mapped read-only.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use bytes::Bytes;
use memmap2::Mmap;
use servos_mesh::{MeshState, WireError};

use crate::durable_file;

/// Reads the state that was kept; none if there is none.
///
/// # Errors
///
/// [`StateFileError`]: the file is there and is no mesh state. The agent then goes on without it and asks for the whole.
pub fn load(path: &Path) -> Result<Option<MeshState>, StateFileError> {
    let read = |source| StateFileError::Read { path: path.into(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(read)?,
    };
    let body = map(&file).map_err(read)?;
    MeshState::parse(body).map(Some).map_err(|source| StateFileError::Parse { path: path.into(), source })
}

/// Keeps a state: temp, fsync, rename, fsync of the folder.
///
/// # Errors
///
/// [`StateFileError::Write`]: a full disk, say. The old file is still there, and the mesh goes on in memory.
pub fn store(path: &Path, state: &MeshState) -> Result<(), StateFileError> {
    durable_file::write(path, state.body(), 0o600).map_err(|source| StateFileError::Write { path: path.into(), source })
}

#[allow(unsafe_code, reason = "a mapping is unsafe by nature; the file is only ever replaced, never written in place")]
fn map(file: &File) -> io::Result<Bytes> {
    if file.metadata()?.len() == 0 {
        return Ok(Bytes::new());
    }
    // SAFETY: the file lies in a folder that only root enters (0700), and this program never changes it in place:
    // `store` renames another file over its name, which leaves this one mapped and whole.
    let map = unsafe { Mmap::map(file)? };
    Ok(Bytes::from_owner(map))
}

/// Why the kept state cannot be used or kept.
#[derive(Debug, thiserror::Error)]
pub enum StateFileError {
    /// It cannot be read.
    #[error("cannot read the kept mesh state {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// It is no mesh state.
    #[error("the kept mesh state {} cannot be used; a whole one is asked for", path.display())]
    Parse {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: WireError,
    },
    /// It cannot be written.
    #[error("cannot keep the mesh state in {}: a restart would begin with an older one", path.display())]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
