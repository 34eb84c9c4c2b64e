//! `resolv.conf` on disk: the former file is kept beside it, ours takes its place in one step, and the other way round.
//!
//! Between any two steps there is a whole file in place, the former or ours, and both work. The former one is kept as
//! the directory entry that it is (file or link, with its owner and mode), so that it comes back exactly.

use std::ffi::OsString;
use std::fs::{self, File, OpenOptions, Permissions};
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt, PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};

use nix::errno::Errno;

use super::facts::{OnDisk, Present};
use super::{ResolvConf, ResolverError};
use crate::limits::RESOLV_CONF_BYTES;

/// The file, and those that stand beside it for a while.
#[derive(Clone, Debug)]
pub struct ResolvConfFile {
    path: PathBuf,
    /// The former file, while ours is in place.
    backup: PathBuf,
    /// Becomes the backup.
    staged_backup: PathBuf,
    /// Becomes the file.
    staged: PathBuf,
}

/// One change on disk; whole, or not at all.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum FileStep {
    /// Keeps the present file beside itself.
    StageBackup,
    /// Makes that the backup.
    CommitBackup,
    /// Writes this text beside the file.
    Stage(String),
    /// Puts it in the file's place.
    Commit,
    /// Puts the backup in the file's place.
    PutBack,
    /// Removes the file: there was none.
    Remove,
    /// Removes what stands beside the file.
    Sweep,
}

impl FileStep {
    /// What it does, in one line.
    pub fn describe(&self) -> &'static str {
        match self {
            Self::StageBackup => "copy resolv.conf",
            Self::CommitBackup => "keep the copy as resolv.conf.servos-backup",
            Self::Stage(_) => "write resolv.conf.servos-new",
            Self::Commit => "rename it to resolv.conf",
            Self::PutBack => "rename resolv.conf.servos-backup to resolv.conf",
            Self::Remove => "remove resolv.conf, which was not there before",
            Self::Sweep => "remove what is left beside resolv.conf",
        }
    }
}

impl ResolvConfFile {
    /// The file at `path`.
    pub fn new(path: &Path) -> Self {
        let beside = |suffix: &str| {
            let mut name = OsString::from(path);
            name.push(suffix);
            PathBuf::from(name)
        };
        Self {
            path: path.to_owned(),
            backup: beside(".servos-backup"),
            staged_backup: beside(".servos-backup-new"),
            staged: beside(".servos-new"),
        }
    }

    /// Where the former file is kept.
    pub fn backup(&self) -> &Path {
        &self.backup
    }

    /// What stands in place, and what is kept.
    ///
    /// # Errors
    ///
    /// [`ResolverError::Read`] for what is there and cannot be read.
    pub fn read(&self) -> Result<OnDisk, ResolverError> {
        let present = match read(&self.path)? {
            None => Present::Absent,
            Some(text) if ResolvConf::is_ours(&text) => Present::Ours(text),
            Some(text) => Present::Theirs(text),
        };
        let leftovers = [&self.staged, &self.staged_backup].iter().any(|path| fs::symlink_metadata(path).is_ok());
        Ok(OnDisk { present, backup: read(&self.backup)?, leftovers })
    }

    /// Does one step.
    ///
    /// # Errors
    ///
    /// [`ResolverError::Write`]; the step was not done.
    pub fn run(&self, step: &FileStep) -> Result<(), ResolverError> {
        let done = match step {
            FileStep::StageBackup => self.stage_backup(),
            FileStep::CommitBackup => self.commit_backup(),
            FileStep::Stage(text) => self.stage(text),
            FileStep::Commit => self.put(&self.staged),
            FileStep::PutBack => self.put(&self.backup),
            FileStep::Remove => self.remove(),
            FileStep::Sweep => self.sweep(),
        };
        done.map_err(|source| ResolverError::Write {
            step: step.describe().to_owned(),
            path: self.path.clone(),
            source,
        })
    }

    fn stage_backup(&self) -> io::Result<()> {
        remove_if_there(&self.staged_backup)?;
        // A second name for the same entry, file or link: nothing of it can get lost on the way.
        if fs::hard_link(&self.path, &self.staged_backup).is_err() {
            // A mount of its own (containers), or a file system without hard links.
            copy(&self.path, &self.staged_backup)?;
        }
        if fs::symlink_metadata(&self.staged_backup)?.is_file() {
            File::open(&self.staged_backup)?.sync_all()?;
        }
        Ok(())
    }

    fn commit_backup(&self) -> io::Result<()> {
        fs::rename(&self.staged_backup, &self.backup)?;
        // Two names of one file are left alone by rename(2).
        remove_if_there(&self.staged_backup)?;
        self.sync_folder()
    }

    fn stage(&self, text: &str) -> io::Result<()> {
        remove_if_there(&self.staged)?;
        let file = OpenOptions::new().write(true).create_new(true).mode(0o644).open(&self.staged)?;
        // Whatever the umask: every program of the host reads it.
        file.set_permissions(Permissions::from_mode(0o644))?;
        file.write_all_at(text.as_bytes(), 0)?;
        file.sync_all()
    }

    /// `from` takes the file's place, and its own is free.
    fn put(&self, from: &Path) -> io::Result<()> {
        match fs::rename(from, &self.path) {
            Ok(()) => {}
            Err(error) if is_mount(&error) => {
                self.part_backup()?;
                write_in_place(&self.path, &fs::read(from)?)?;
                self.sync_folder()?;
                fs::remove_file(from)?;
            }
            Err(error) => return Err(error),
        }
        self.sync_folder()
    }

    /// Makes the backup a file of its own before the present one is written in place.
    fn part_backup(&self) -> io::Result<()> {
        let (Ok(present), Ok(backup)) = (fs::metadata(&self.path), fs::symlink_metadata(&self.backup)) else {
            return Ok(());
        };
        if (present.dev(), present.ino()) != (backup.dev(), backup.ino()) {
            return Ok(());
        }
        remove_if_there(&self.staged_backup)?;
        copy(&self.backup, &self.staged_backup)?;
        self.commit_backup()
    }

    fn remove(&self) -> io::Result<()> {
        match fs::remove_file(&self.path) {
            Err(error) if is_mount(&error) => write_in_place(&self.path, b"")?,
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        self.sync_folder()
    }

    fn sweep(&self) -> io::Result<()> {
        for path in [&self.staged, &self.staged_backup, &self.backup] {
            remove_if_there(path)?;
        }
        self.sync_folder()
    }

    fn sync_folder(&self) -> io::Result<()> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        File::open(folder.unwrap_or(Path::new(".")))?.sync_all()
    }
}

/// None if nothing is there; empty for a link to nowhere.
fn read(path: &Path) -> Result<Option<String>, ResolverError> {
    let failed = |source| ResolverError::Read { path: path.to_owned(), source };
    match File::open(path) {
        Ok(file) => {
            let mut bytes = Vec::new();
            file.take(RESOLV_CONF_BYTES).read_to_end(&mut bytes).map_err(failed)?;
            Ok(Some(String::from_utf8_lossy(&bytes).into_owned()))
        }
        Err(error) if error.kind() == ErrorKind::NotFound => Ok(fs::symlink_metadata(path).is_ok().then(String::new)),
        Err(error) => Err(failed(error)),
    }
}

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    let metadata = fs::symlink_metadata(from)?;
    if metadata.is_symlink() {
        return symlink(fs::read_link(from)?, to);
    }
    fs::copy(from, to)?;
    // A backup that belongs to somebody else is better than none.
    let _ = chown(to, Some(metadata.uid()), Some(metadata.gid()));
    File::open(to)?.sync_all()
}

/// Overwrites a file that cannot be replaced. The text is stretched to the length of the old one with a comment and
/// written at once, then cut: no moment leaves it empty, or with a part of the old text behind the new.
fn write_in_place(path: &Path, text: &[u8]) -> io::Result<()> {
    let file = OpenOptions::new().write(true).open(path)?;
    let old = usize::try_from(file.metadata()?.len()).unwrap_or(usize::MAX).min(RESOLV_CONF_BYTES as usize);
    let mut stretched = text.to_vec();
    if !stretched.ends_with(b"\n") {
        stretched.push(b'\n');
    }
    if stretched.len() < old {
        stretched.resize(old - 1, b'#');
        stretched.push(b'\n');
    }
    file.write_all_at(&stretched, 0)?;
    file.set_len(text.len() as u64)?;
    file.sync_all()
}

/// Whether the file is a mount point, as containers have it, or the entry lies on another file system.
fn is_mount(error: &io::Error) -> bool {
    [Errno::EBUSY, Errno::EXDEV].iter().any(|errno| error.raw_os_error() == Some(*errno as i32))
}

fn remove_if_there(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
