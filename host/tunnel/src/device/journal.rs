//! A file of records of one size: appended as they come, and written anew when most of it is out of date. What of it was not
//! written when the process was killed is lost, and a power failure takes the last few more.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::marker::PhantomData;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::limits::JOURNAL_SLACK;

/// What is kept in a [`Journal`].
pub(super) trait Kept: Sized {
    /// Bytes of a record.
    const SIZE: usize;

    /// What it means that it cannot be written.
    const WITHOUT: &str;

    /// Appends its bytes.
    fn write(&self, bytes: &mut Vec<u8>);

    /// Of [`Self::SIZE`] bytes. `None` for what makes no sense.
    fn read(bytes: &[u8]) -> Option<Self>;
}

#[derive(Debug)]
pub(super) struct Journal<R> {
    path: PathBuf,
    file: File,
    records: usize,
    /// It was said that it cannot be written.
    complained: bool,
    of: PhantomData<R>,
}

impl<R: Kept> Journal<R> {
    /// What the file holds, in the order that it was written; nothing if there is none.
    pub(super) fn read(path: &Path) -> io::Result<Vec<R>> {
        match fs::read(path) {
            // A last record that was cut is none.
            Ok(bytes) => Ok(bytes.chunks_exact(R::SIZE).filter_map(R::read).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    /// Appends these. Whether most of the file is out of date, `kept` being what is not.
    pub(super) fn append(&mut self, records: &[R], kept: usize) -> bool {
        if records.is_empty() {
            return false;
        }
        self.records += records.len();
        if let Err(error) = self.file.write_all(&bytes_of(records))
            && !std::mem::replace(&mut self.complained, true)
        {
            tracing::warn!(path = %self.path.display(), %error, "{}", R::WITHOUT);
        }
        self.records > 2 * kept + JOURNAL_SLACK
    }

    pub(super) fn replace(&mut self, all: &[R]) {
        match Self::write_anew(&self.path, all) {
            Ok(journal) => *self = Self { complained: self.complained, ..journal },
            // The old file is still there and is appended to; tried again much later.
            Err(_) => self.records = 0,
        }
    }

    /// Writes all to another file, and puts it in the place of the first.
    pub(super) fn write_anew(path: &Path, all: &[R]) -> io::Result<Self> {
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes_of(all))?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), file, records: all.len(), complained: false, of: PhantomData })
    }
}

fn bytes_of<R: Kept>(records: &[R]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * R::SIZE);
    records.iter().for_each(|record| record.write(&mut bytes));
    bytes
}
