//! Writing a file so that a crash or a power loss leaves the old one or the new one, never half of either.

use std::fs::{File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::limits::MAX_SECRET;

/// Writes `bytes` under `path` with mode `mode`: temp file in the same folder, fsync, rename, fsync of the folder.
///
/// # Errors
///
/// What the system said; the old file is still there.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temp = NamedTempFile::new_in(folder)?;
    temp.as_file().set_permissions(Permissions::from_mode(mode))?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|error| error.error)?;
    File::open(folder)?.sync_all()
}

/// Makes a folder that only its owner enters, parents included.
///
/// # Errors
///
/// What the system said.
pub fn private_folder(path: &Path) -> io::Result<()> {
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o700))
}

/// Reads a small secret, without blanks at its ends.
///
/// # Errors
///
/// What the system said, or that it is too long or no text.
pub fn read_secret(path: &Path) -> io::Result<Zeroizing<String>> {
    let mut text = Zeroizing::new(String::with_capacity(256));
    File::open(path)?.take(MAX_SECRET).read_to_string(&mut text)?;
    Ok(Zeroizing::new(text.trim().to_owned()))
}
