//! The mesh state on disk, so that a restart needs no control plane: a whole one, and beside it the deltas that lead on
//! from it to the one in force.
//!
//! The file of deltas holds one after the other: length (`u32`, little endian), SHA-256, body. It is only ever appended
//! to, and removed when another whole is stored. At start deltas are applied as far as they are whole and lead on from
//! what was reached; what lies behind is cut off, or belongs to a whole that is gone. A crash between the two files
//! leaves deltas that lead to the whole or to what was before it: they do not lead on from it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use bytes::{Buf, Bytes};
use servos_mesh::{MeshDelta, MeshState, Own, PeerTable};
use sha2::{Digest, Sha256};
use tracing::warn;

use crate::durable_file;
use crate::error_chain::chain;
use crate::limits::{KEPT_DELTAS_SHARE, MAX_KEPT_DELTAS, MIN_KEPT_DELTAS};
use crate::paths::Paths;
use crate::state_file::{self, StateFileError};

/// Length and SHA-256 of an entry.
const ENTRY_HEAD: usize = 4 + 32;

/// What is kept, and what is still to be written. Whatever fails is tried again with the next change, or by `write`.
pub struct KeptState {
    state_path: PathBuf,
    deltas_path: PathBuf,
    /// The whole state that the table in force stands on.
    base: Option<Arc<MeshState>>,
    base_is_written: bool,
    /// Deltas on disk might seem to lead on from the next whole, though they are of another past: the control plane went
    /// back. They go before it is written.
    disowned: bool,
    /// What leads on from `base`.
    deltas: Vec<Arc<MeshDelta>>,
    /// How many of them are on disk.
    written: usize,
    /// Bytes that these take there.
    length: u64,
    /// Bytes of all of `deltas` as entries.
    total: u64,
}

impl KeptState {
    /// Nothing is kept yet. Deltas that may lie there lead on from nothing.
    pub fn new(paths: &Paths) -> Self {
        Self {
            state_path: paths.mesh_state(),
            deltas_path: paths.mesh_deltas(),
            base: None,
            base_is_written: false,
            disowned: true,
            deltas: Vec::new(),
            written: 0,
            length: 0,
            total: 0,
        }
    }

    /// Reads what was kept; none if nothing was.
    ///
    /// # Errors
    ///
    /// [`StateFileError`] if there is a whole state and it cannot be used. Deltas that cannot be are left out.
    pub fn load(paths: &Paths, own: Own) -> Result<Option<(PeerTable, Self)>, StateFileError> {
        let Some(mapped) = state_file::load(&paths.mesh_state())? else { return Ok(None) };
        let state = mapped.state().clone();
        let mut kept = Self { base: Some(state.clone()), base_is_written: true, disowned: false, ..Self::new(paths) };
        let table = kept.replay(PeerTable::new(state, Some(own)));
        mapped.release_names();
        Ok(Some((table, kept)))
    }

    /// Keeps a whole state in the place of what was kept. `disowned`: the control plane went back to it.
    ///
    /// # Errors
    ///
    /// [`StateFileError::Write`]; the whole kept before is still there, and unless `disowned` what leads on from it.
    pub fn keep_whole(&mut self, state: Arc<MeshState>, disowned: bool) -> Result<(), StateFileError> {
        (self.base, self.base_is_written) = (Some(state), false);
        self.disowned |= disowned;
        self.deltas.clear();
        (self.written, self.length, self.total) = (0, 0, 0);
        self.write()
    }

    /// Keeps a delta that leads on from what was kept last.
    ///
    /// # Errors
    ///
    /// [`StateFileError::Write`]; what was kept before is still there.
    pub fn keep_delta(&mut self, delta: Arc<MeshDelta>) -> Result<(), StateFileError> {
        self.total += (ENTRY_HEAD + delta.body().len()) as u64;
        self.deltas.push(delta);
        self.write()
    }

    /// Whether there are so many deltas that a whole state is better.
    pub fn is_long(&self) -> bool {
        let whole = self.base.as_ref().map_or(0, |base| base.body().len() as u64);
        self.total > MIN_KEPT_DELTAS.max(whole / KEPT_DELTAS_SHARE)
    }

    /// Writes what is not on disk yet.
    ///
    /// # Errors
    ///
    /// [`StateFileError::Write`]; to be done again.
    pub fn write(&mut self) -> Result<(), StateFileError> {
        let failed = |source| StateFileError::Write { path: self.deltas_path.clone(), source };
        if let Some(base) = self.base.as_ref().filter(|_| !self.base_is_written) {
            if self.disowned {
                durable_file::remove(&self.deltas_path).map_err(failed)?;
                self.disowned = false;
            }
            state_file::store(&self.state_path, base)?;
            self.base_is_written = true;
            durable_file::remove(&self.deltas_path).map_err(failed)?;
        }
        let unwritten = &self.deltas[self.written..];
        if !unwritten.is_empty() {
            self.length = append(&self.deltas_path, self.length, unwritten).map_err(failed)?;
            self.written = self.deltas.len();
        }
        Ok(())
    }

    /// Applies what was kept beside the whole state.
    fn replay(&mut self, mut table: PeerTable) -> PeerTable {
        let mut bytes = match read(&self.deltas_path) {
            Ok(bytes) => bytes,
            Err(problem) => {
                warn!(%problem, path = %self.deltas_path.display(), "kept deltas cannot be read: starting with an older state");
                return table;
            }
        };
        while let Some(delta) = next_entry(&mut bytes) {
            let next = match table.apply(&delta) {
                Ok(next) => next,
                Err(problem) => {
                    warn!(problem = chain(&problem), "kept deltas are left out from here on");
                    break;
                }
            };
            table = next;
            self.length += (ENTRY_HEAD + delta.body().len()) as u64;
            self.deltas.push(Arc::new(delta));
        }
        (self.written, self.total) = (self.deltas.len(), self.length);
        table
    }
}

/// Takes an entry from the front; none if it is cut off or damaged, or there is none.
fn next_entry(bytes: &mut Bytes) -> Option<MeshDelta> {
    let (head, rest) = bytes.split_first_chunk::<ENTRY_HEAD>()?;
    let (length, sum) = head.split_first_chunk::<4>()?;
    let length = u32::from_le_bytes(*length) as usize;
    if rest.len() < length || Sha256::digest(&rest[..length])[..] != *sum {
        return None;
    }
    bytes.advance(ENTRY_HEAD);
    // A copy: a delta that shared the buffer would keep all of them in memory.
    MeshDelta::parse(Bytes::copy_from_slice(&bytes.split_to(length))).ok()
}

/// Writes deltas at `length`, over what lies there, and returns where they end.
fn append(path: &Path, length: u64, deltas: &[Arc<MeshDelta>]) -> io::Result<u64> {
    let mut entries = Vec::new();
    for delta in deltas {
        let body = delta.body();
        let size = u32::try_from(body.len()).map_err(|_| io::ErrorKind::InvalidInput)?;
        entries.extend_from_slice(&size.to_le_bytes());
        entries.extend_from_slice(&Sha256::digest(body));
        entries.extend_from_slice(body);
    }
    let mut file = OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)?;
    file.set_len(length)?;
    file.seek(SeekFrom::Start(length))?;
    file.write_all(&entries)?;
    file.sync_data()?;
    if length == 0 {
        // The file may be new.
        durable_file::sync_folder(path)?;
    }
    Ok(length + entries.len() as u64)
}

fn read(path: &Path) -> io::Result<Bytes> {
    let mut bytes = Vec::new();
    match File::open(path) {
        Ok(file) => file.take(MAX_KEPT_DELTAS).read_to_end(&mut bytes)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => 0,
        Err(error) => return Err(error),
    };
    Ok(bytes.into())
}
