//! A file of records of one size: appended as they come, and written anew when most of it is out of date. What of it was not
//! written when the process was killed is lost, and a power failure takes the last few more.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Seek as _, SeekFrom, Write as _};
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
    /// Bytes of the file: whole records.
    length: u64,
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
        let bytes = bytes_of(records);
        match self.file.write_all(&bytes) {
            Ok(()) => self.length += bytes.len() as u64,
            Err(error) => {
                if !std::mem::replace(&mut self.complained, true) {
                    tracing::warn!(path = %self.path.display(), %error, "{}", R::WITHOUT);
                }
                self.cut();
            }
        }
        self.records > 2 * kept + JOURNAL_SLACK
    }

    /// Takes back what a full disk took the first part of: what is appended later would be read askew.
    fn cut(&mut self) {
        let cut = self.file.set_len(self.length).and_then(|()| self.file.seek(SeekFrom::Start(self.length)));
        if let Err(error) = cut {
            tracing::debug!(path = %self.path.display(), %error, "it is read askew until it is written anew");
        }
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
        let bytes = bytes_of(all);
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        let (path, length) = (path.to_owned(), bytes.len() as u64);
        Ok(Self { path, file, length, records: all.len(), complained: false, of: PhantomData })
    }
}

fn bytes_of<R: Kept>(records: &[R]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(records.len() * R::SIZE);
    records.iter().for_each(|record| record.write(&mut bytes));
    bytes
}

#[cfg(test)]
mod tests {
    use super::*;

    impl Kept for u32 {
        const SIZE: usize = 4;
        const WITHOUT: &str = "nothing";

        fn write(&self, bytes: &mut Vec<u8>) {
            bytes.extend(self.to_le_bytes());
        }

        fn read(bytes: &[u8]) -> Option<Self> {
            Some(Self::from_le_bytes(*bytes.first_chunk()?))
        }
    }

    #[test]
    fn what_was_appended_in_part_does_not_put_the_next_askew() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("numbers");
        let mut journal = Journal::write_anew(&path, &[1_u32, 2]).expect("a file");
        journal.append(&[3], 3);
        // As much as a full disk takes of a record.
        journal.file.write_all(&[9; 3]).expect("written");
        journal.cut();
        journal.append(&[4], 4);
        assert_eq!(Journal::<u32>::read(&path).expect("a file"), [1, 2, 3, 4]);
    }
}
