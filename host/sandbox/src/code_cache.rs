//! Compiled code on disk, in a folder that nobody else can write.
//!
//! A file is native code that the agent runs as its own: it is loaded only if the folder and the file belong to this
//! user, nobody else may write them, and its check sum is right. It is named for the SHA-256 of the WebAssembly and for
//! the engine's configuration, so a change of either compiles afresh. It begins with the SHA-256 of what follows.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::time::SystemTime;

use nix::unistd::geteuid;
use sha2::{Digest, Sha256};
use tracing::{debug, warn};
use wasmtime::Engine;
use wasmtime::component::Component;

use crate::limits::CACHE_FILES;

const SUM: usize = 32;

/// The folder of compiled code of one engine.
#[derive(Debug)]
pub(crate) struct CodeCache {
    folder: PathBuf,
    engine: u64,
}

impl CodeCache {
    /// Opens the folder, made with mode 0700 if it does not exist.
    ///
    /// # Errors
    ///
    /// [`CacheError`] if it is no folder of this user's alone.
    pub fn open(folder: &Path, engine: &Engine) -> Result<Self, CacheError> {
        let failed = |source| CacheError::Folder { folder: folder.to_owned(), source };
        let made = DirBuilder::new().recursive(true).mode(0o700).create(folder);
        made.map_err(failed)?;
        let found = fs::symlink_metadata(folder).map_err(failed)?;
        if !found.is_dir() || found.uid() != geteuid().as_raw() || found.mode() & 0o077 != 0 {
            return Err(CacheError::Exposed(folder.to_owned()));
        }
        let mut hasher = DefaultHasher::new();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self { folder: folder.to_owned(), engine: hasher.finish() })
    }

    /// The compiled code of the WebAssembly with that SHA-256. A file that is not as it was written counts as none.
    pub fn load(&self, engine: &Engine, wasm: &[u8; 32]) -> Option<Component> {
        let path = self.path(wasm);
        match read_own(&path) {
            Ok(code) => match deserialize(engine, &code) {
                Ok(component) => Some(component),
                Err(error) => {
                    warn!(path = %path.display(), %error, "compiled code is of no use: compiling again");
                    None
                }
            },
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warn!(path = %path.display(), %error, "compiled code is not trusted: compiling again");
                None
            }
        }
    }

    /// Keeps compiled code. That it cannot be kept costs the next start a compilation, nothing else.
    pub fn store(&self, component: &Component, wasm: &[u8; 32]) {
        let path = self.path(wasm);
        let written = component
            .serialize()
            .map_err(|error| error.to_string())
            .and_then(|code| self.write(&path, &code).map_err(|error| error.to_string()));
        match written {
            Ok(()) => debug!(path = %path.display(), "compiled code kept"),
            Err(error) => warn!(path = %path.display(), error, "compiled code cannot be kept"),
        }
    }

    fn write(&self, path: &Path, code: &[u8]) -> io::Result<()> {
        let mut file = tempfile::Builder::new().prefix(".new-").tempfile_in(&self.folder)?;
        file.write_all(&Sha256::digest(code))?;
        file.write_all(code)?;
        file.persist(path)?;
        self.prune()
    }

    /// Removes the oldest files beyond [`CACHE_FILES`].
    fn prune(&self) -> io::Result<()> {
        let mut files: Vec<(SystemTime, PathBuf)> = Vec::new();
        for entry in fs::read_dir(&self.folder)? {
            let entry = entry?;
            files.push((entry.metadata()?.modified()?, entry.path()));
        }
        files.sort();
        let surplus = files.len().saturating_sub(CACHE_FILES);
        files[..surplus].iter().try_for_each(|(_, path)| fs::remove_file(path))
    }

    fn path(&self, wasm: &[u8; 32]) -> PathBuf {
        self.folder.join(format!("{}-{:016x}.cwasm", hex(wasm), self.engine))
    }
}

/// Lower-case hexadecimal.
pub(crate) fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The code in a file that this user wrote and nobody else could have changed.
fn read_own(path: &Path) -> io::Result<Vec<u8>> {
    let mut file: File = OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
    let found = file.metadata()?;
    if !found.is_file() || found.uid() != geteuid().as_raw() || found.mode() & 0o022 != 0 {
        return Err(io::Error::other("not a file that this user alone can write"));
    }
    let mut bytes = Vec::new();
    file.read_to_end(&mut bytes)?;
    let Some((sum, code)) = bytes.split_at_checked(SUM) else {
        return Err(io::Error::other("cut off"));
    };
    if Sha256::digest(code).as_slice() != sum {
        return Err(io::Error::other("its check sum is wrong"));
    }
    bytes.drain(..SUM);
    Ok(bytes)
}

#[allow(unsafe_code, reason = "native code is loaded here, and nowhere else")]
fn deserialize(engine: &Engine, code: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `deserialize` wants the very bytes that `Component::serialize` gave. `read_own` saw a file that this user
    // alone can write, in a folder that this user alone can enter, whose check sum is that of its content: it is what
    // `store` wrote. That it fits this engine is checked by `deserialize` itself.
    unsafe { Component::deserialize(engine, code) }
}

/// Why compiled code is not kept. Plugins work without, and are compiled at each start.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CacheError {
    /// It cannot be made or looked at.
    #[error("folder for compiled plugins {}: {source}", folder.display())]
    Folder {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else could put code there.
    #[error("folder for compiled plugins {}: must belong to this user alone (chown, chmod 700)", .0.display())]
    Exposed(PathBuf),
}
