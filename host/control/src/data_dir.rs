//! The folder that holds everything: database, certificate, key. Only its owner enters.

use std::fs::{DirBuilder, File, OpenOptions, Permissions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};

use tempfile::NamedTempFile;

/// Where the control plane keeps its files.
#[derive(Clone, Debug)]
pub struct DataDir(PathBuf);

impl DataDir {
    /// The folder at `path`, whether it exists or not.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self(path.into())
    }

    /// The folder.
    pub fn path(&self) -> &Path {
        &self.0
    }

    /// The database.
    pub fn database(&self) -> PathBuf {
        self.0.join("control.db")
    }

    /// The self-signed certificate, PEM.
    pub fn certificate(&self) -> PathBuf {
        self.0.join("tls-certificate.pem")
    }

    /// Its private key, PEM.
    pub fn key(&self) -> PathBuf {
        self.0.join("tls-key.pem")
    }

    /// Makes the folder, for its owner alone.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Foreign`] if it holds somebody else's files; [`DataDirError::Make`] if the system refuses.
    pub fn create(&self) -> Result<(), DataDirError> {
        let failed = |source| DataDirError::Make { path: self.0.clone(), source };
        if self.0.is_dir() && !self.database().exists() {
            let mut entries = std::fs::read_dir(&self.0).map_err(failed)?;
            // Closing somebody's /tmp to everybody else would be a bad start.
            if entries.next().is_some() {
                return Err(DataDirError::Foreign(self.0.clone()));
            }
        }
        DirBuilder::new().recursive(true).mode(0o700).create(&self.0).map_err(failed)?;
        std::fs::set_permissions(&self.0, Permissions::from_mode(0o700)).map_err(failed)
    }

    /// Makes an empty database file, so that it never exists with wider permissions than 0600.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Write`].
    pub fn create_database(&self) -> Result<(), DataDirError> {
        let path = self.database();
        match OpenOptions::new().write(true).create_new(true).mode(0o600).open(&path) {
            Ok(_) => Ok(()),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
            Err(source) => Err(DataDirError::Write { path, source }),
        }
    }

    /// Writes a file of this folder so that a crash leaves the old one or the new one.
    ///
    /// # Errors
    ///
    /// [`DataDirError::Write`].
    pub fn write(&self, path: &Path, bytes: &[u8], mode: u32) -> Result<(), DataDirError> {
        let write = || {
            let mut temp = NamedTempFile::new_in(&self.0)?;
            temp.as_file().set_permissions(Permissions::from_mode(mode))?;
            temp.write_all(bytes)?;
            temp.as_file().sync_all()?;
            temp.persist(path).map_err(|error| error.error)?;
            File::open(&self.0)?.sync_all()
        };
        write().map_err(|source| DataDirError::Write { path: path.to_owned(), source })
    }
}

/// Why the folder cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum DataDirError {
    /// It is somebody else's.
    #[error("{0} is not empty and holds no control plane: give an empty or a new folder with --data")]
    Foreign(PathBuf),
    /// It cannot be made.
    #[error("cannot make the folder {path}: run as root, or give another with --data")]
    Make {
        /// The folder.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
    /// A file of it cannot be written.
    #[error("cannot write {path}")]
    Write {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: io::Error,
    },
}
