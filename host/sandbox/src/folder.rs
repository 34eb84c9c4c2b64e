//! The plugin folder as it lies on disk: which files are drop-ins, and which of them may be trusted.

use std::fs::{self, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::geteuid;
use sha2::{Digest, Sha256};

use crate::limits::{MAX_DROP_INS, MAX_MANIFEST_BYTES, MAX_SIGNATURE_BYTES, MAX_WASM_BYTES};

/// A file `NN-name.wasm`, or one that would like to be.
#[derive(Debug)]
pub(crate) struct DropIn {
    /// The file's name without `.wasm`.
    pub name: String,
    pub path: PathBuf,
    pub content: Result<Content, FileError>,
}

/// What a drop-in is made of.
#[derive(Debug)]
pub(crate) struct Content {
    pub wasm: Vec<u8>,
    /// Text of `NN-name.toml`, if there is one.
    pub manifest: Option<String>,
    /// Text of `NN-name.wasm.sig`, if there is one and signatures are asked for.
    pub signature: Option<String>,
    /// Tells one content from another.
    pub digest: [u8; 32],
}

/// Reads all drop-ins, sorted by name. A folder that does not exist is empty.
///
/// # Errors
///
/// [`FolderError`] if the folder cannot be read, or anybody could put a file there.
pub(crate) fn read(folder: &Path, signed: bool) -> Result<Vec<DropIn>, FolderError> {
    let failed = |source| FolderError::Read { folder: folder.to_owned(), source };
    let found = match fs::metadata(folder) {
        Ok(found) => found,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed(error)),
    };
    if !is_ours(&found) {
        return Err(FolderError::Exposed(folder.to_owned()));
    }
    let mut paths = Vec::new();
    for entry in fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
        if path.extension().is_some_and(|extension| extension == "wasm") && !hidden {
            paths.push(path);
        }
    }
    paths.sort();
    Ok(paths.into_iter().enumerate().map(|(at, path)| drop_in(path, at, signed)).collect())
}

fn drop_in(path: PathBuf, at: usize, signed: bool) -> DropIn {
    let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let content = match () {
        () if !is_name(&name) => Err(FileError::Name),
        () if at >= MAX_DROP_INS => Err(FileError::TooMany),
        () => content(&path, signed),
    };
    DropIn { name, path, content }
}

/// `NN-name`: two digits, a hyphen, and a name of lower-case letters, digits and hyphens.
fn is_name(name: &str) -> bool {
    let Some((number, name)) = name.split_once('-') else { return false };
    let digits = number.len() == 2 && number.bytes().all(|byte| byte.is_ascii_digit());
    digits && servos_mesh::DnsLabel::is_valid(name)
}

fn content(wasm: &Path, signed: bool) -> Result<Content, FileError> {
    let manifest = match read_trusted(&wasm.with_extension("toml"), MAX_MANIFEST_BYTES) {
        Ok(bytes) => Some(String::from_utf8(bytes).map_err(|_| FileError::Manifest("is no UTF-8".to_owned()))?),
        Err(FileError::Read(error)) if error.kind() == io::ErrorKind::NotFound => None,
        Err(error) => return Err(FileError::Manifest(error.to_string())),
    };
    let signature = if signed { signature(wasm)? } else { None };
    let wasm = read_trusted(wasm, MAX_WASM_BYTES)?;
    let mut digest = Sha256::new();
    digest.update(Sha256::digest(&wasm));
    // A file that is there and empty is another content than none.
    digest.update([u8::from(manifest.is_some())]);
    digest.update(manifest.as_deref().unwrap_or_default());
    Ok(Content { wasm, manifest, signature, digest: digest.finalize().into() })
}

fn signature(wasm: &Path) -> Result<Option<String>, FileError> {
    match read_trusted(&wasm.with_extension("wasm.sig"), MAX_SIGNATURE_BYTES) {
        Ok(bytes) => Ok(Some(String::from_utf8_lossy(&bytes).into_owned())),
        Err(FileError::Read(error)) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(FileError::Signature(error.to_string())),
    }
}

/// Reads a regular file that nobody but root and this user could have written.
fn read_trusted(path: &Path, limit: u64) -> Result<Vec<u8>, FileError> {
    let opened = OpenOptions::new().read(true).custom_flags(O_NOFOLLOW | O_NONBLOCK).open(path);
    let file = opened.map_err(|error| match error.raw_os_error() {
        Some(nix::libc::ELOOP) => FileError::Link,
        _ => FileError::Read(error),
    })?;
    let found = file.metadata().map_err(FileError::Read)?;
    if !found.is_file() {
        return Err(FileError::NoFile);
    }
    if !is_ours(&found) {
        return Err(FileError::Exposed);
    }
    let mut bytes = Vec::new();
    // It may grow while it is read.
    file.take(limit + 1).read_to_end(&mut bytes).map_err(FileError::Read)?;
    if bytes.len() as u64 > limit {
        return Err(FileError::TooLong(limit));
    }
    Ok(bytes)
}

fn is_ours(found: &fs::Metadata) -> bool {
    (found.uid() == 0 || found.uid() == geteuid().as_raw()) && found.mode() & 0o022 == 0
}

/// Why the folder as a whole is not read. What ran before goes on.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FolderError {
    /// It cannot be read.
    #[error("plugin folder {} cannot be read: {source}", folder.display())]
    Read {
        /// The folder.
        folder: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// Somebody else could put a plugin there.
    #[error("plugin folder {} must belong to root and be writable by nobody else (chown root, chmod 755)", .0.display())]
    Exposed(PathBuf),
}

/// Why a file is not read.
#[derive(Debug, thiserror::Error)]
pub(crate) enum FileError {
    /// Its name gives it no place in the order.
    #[error("must be called NN-name.wasm: two digits, a hyphen, a name of a-z, 0-9 and '-'")]
    Name,
    /// There are enough.
    #[error("is more than the {MAX_DROP_INS} plugins that are loaded")]
    TooMany,
    /// A symbolic link.
    #[error("is a symbolic link: put the file itself into the folder")]
    Link,
    /// A folder, a device.
    #[error("is no regular file")]
    NoFile,
    /// Somebody else could have written it.
    #[error("must belong to root and be writable by nobody else (chown root, chmod 644)")]
    Exposed,
    /// Too long.
    #[error("is longer than {0} bytes")]
    TooLong(u64),
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(io::Error),
    /// The signature beside it.
    #[error("its .sig {0}")]
    Signature(String),
    /// The file beside it.
    #[error("its .toml {0}")]
    Manifest(String),
}
