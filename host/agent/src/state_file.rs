//! The last whole mesh state on disk: as received, mapped read-only.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::Bytes;
use memmap2::{Mmap, UncheckedAdvice};
use servos_mesh::{MeshState, WireError};

use crate::durable_file;

/// Reads the state that was kept; none if there is none.
///
/// # Errors
///
/// [`StateFileError`]: the file is there and is no mesh state. The agent then goes on without it and asks for the whole.
pub fn load(path: &Path) -> Result<Option<MappedState>, StateFileError> {
    let read = |source| StateFileError::Read { path: path.into(), source };
    let file = match File::open(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        other => other.map_err(read)?,
    };
    let mapped = map(&file).map_err(read)?;
    let state = MeshState::parse(Bytes::from_owner(mapped.clone()))
        .map_err(|source| StateFileError::Parse { path: path.into(), source })?;
    Ok(Some(MappedState { state: Arc::new(state), mapped }))
}

/// A kept state, read in place.
#[derive(Debug)]
pub struct MappedState {
    state: Arc<MeshState>,
    mapped: Mapped,
}

impl MappedState {
    /// The state.
    pub fn state(&self) -> &Arc<MeshState> {
        &self.state
    }

    /// Lets go of the memory of its names, once they are indexed: they are seldom read, and come from the file again when
    /// they are.
    #[allow(unsafe_code, reason = "this advice would lose what was written to memory alone: nothing is")]
    pub fn release_names(&self) {
        let Some(map) = &self.mapped.0 else { return };
        let names = self.state.names_range();
        // SAFETY: the mapping is read-only and of a file that does not change: the same bytes come back.
        let advised = unsafe { map.unchecked_advise_range(UncheckedAdvice::DontNeed, names.start, names.len()) };
        if let Err(error) = advised {
            tracing::debug!(%error, "the names of the kept state stay in memory");
        }
    }
}

/// Keeps a state: temp, fsync, rename, fsync of the folder.
///
/// # Errors
///
/// [`StateFileError::Write`]: a full disk, say. The old file is still there, and the mesh goes on in memory.
pub fn store(path: &Path, state: &MeshState) -> Result<(), StateFileError> {
    durable_file::write(path, state.body(), 0o600).map_err(|source| StateFileError::Write { path: path.into(), source })
}

/// A mapped file; of an empty one there is nothing to map.
#[derive(Clone, Debug)]
struct Mapped(Option<Arc<Mmap>>);

impl AsRef<[u8]> for Mapped {
    fn as_ref(&self) -> &[u8] {
        self.0.as_deref().map_or(&[], |map| map)
    }
}

#[allow(unsafe_code, reason = "a mapping is unsafe by nature; the file is only ever replaced, never written in place")]
fn map(file: &File) -> io::Result<Mapped> {
    if file.metadata()?.len() == 0 {
        return Ok(Mapped(None));
    }
    // SAFETY: the file lies in a folder that only root enters (0700), and this program never changes it in place:
    // `store` renames another file over its name, which leaves this one mapped and whole.
    let map = unsafe { Mmap::map(file)? };
    Ok(Mapped(Some(Arc::new(map))))
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
