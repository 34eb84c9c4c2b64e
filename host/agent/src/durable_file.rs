//! Writing a file so that a crash or a power loss leaves the old one or the new one, never half of either; and removing
//! one so that it stays removed.

use std::fs::{self, File, Permissions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::Path;

use tempfile::NamedTempFile;
use zeroize::Zeroizing;

use crate::limits::MAX_SECRET;

/// What names of unfinished files begin with: by it they are found when their writer was killed.
const TEMP_PREFIX: &str = ".servos-tmp-";

/// Writes `bytes` under `path` with mode `mode`: temp file in the same folder, fsync, rename, fsync of the folder.
///
/// # Errors
///
/// What the system said; the old file is still there.
pub fn write(path: &Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    let folder = path.parent().ok_or(io::ErrorKind::InvalidInput)?;
    let mut temp = temp(folder)?;
    temp.as_file().set_permissions(Permissions::from_mode(mode))?;
    temp.write_all(bytes)?;
    temp.as_file().sync_all()?;
    temp.persist(path).map_err(|error| error.error)?;
    sync_folder(path)
}

/// The file that [`write()`] fills before it has its name. Whoever is killed meanwhile leaves it, for [`sweep`].
///
/// # Errors
///
/// What the system said.
pub fn temp(folder: &Path) -> io::Result<NamedTempFile> {
    tempfile::Builder::new().prefix(TEMP_PREFIX).tempfile_in(folder)
}

/// Removes what killed writers left in a folder: it may be a private key. Nobody may be writing there meanwhile.
///
/// # Errors
///
/// What the system said. A folder that is not there is no error.
pub fn sweep(folder: &Path) -> io::Result<()> {
    let entries = match fs::read_dir(folder) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
        other => other?,
    };
    for entry in entries {
        let entry = entry?;
        if entry.file_name().as_encoded_bytes().starts_with(TEMP_PREFIX.as_bytes()) {
            remove(&entry.path())?;
        }
    }
    Ok(())
}

/// Removes a file; a power loss after this does not bring it back.
///
/// # Errors
///
/// What the system said. A file that is not there is no error.
pub fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Ok(()) => sync_folder(path),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        Err(error) => Err(error),
    }
}

/// Brings what was done to names in the folder of `path` to the disk.
///
/// # Errors
///
/// What the system said.
pub fn sync_folder(path: &Path) -> io::Result<()> {
    File::open(path.parent().ok_or(io::ErrorKind::InvalidInput)?)?.sync_all()
}

/// Makes a folder that only its owner enters, parents included.
///
/// # Errors
///
/// What the system said.
pub fn private_folder(path: &Path) -> io::Result<()> {
    fs::DirBuilder::new().recursive(true).mode(0o700).create(path)?;
    fs::set_permissions(path, Permissions::from_mode(0o700))
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
