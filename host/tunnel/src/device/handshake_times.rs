//! When each peer last began a handshake that was answered: an initiation that is not newer is a replay, also when the
//! session is gone, and also after a restart.
//!
//! 16 bytes a peer: the first half of its key (as good as random, and as hard to collide with) and the timestamp in
//! 64 bits: 34 of seconds since 1970, 30 of nanoseconds. On disk they are appended as they come, each little endian, and
//! written anew when most of the file is out of date. A process that is killed loses none; a power failure the last few.

use std::collections::HashMap;
use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use servos_mesh::PublicKey;

use crate::limits::{HANDSHAKE_FUTURE, JOURNAL_SLACK, KEPT_TIMESTAMPS};

/// TAI64's label of 1970-01-01 00:00:10 TAI, less ten seconds (<https://cr.yp.to/libtai/tai64.html>).
pub(super) const TAI64_EPOCH: u64 = 1 << 62;

/// Bytes of a record on disk.
const RECORD: usize = 16;

/// A TAI64N timestamp of a handshake, in 64 bits that compare like it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct HandshakeTime(u64);

impl HandshakeTime {
    /// Seconds outside 1970 to 2514 are taken for the nearest bound.
    pub(super) fn from_tai64n(timestamp: &[u8; 12]) -> Self {
        let [a, b, c, d, e, f, g, h, nanos @ ..] = *timestamp;
        let seconds = u64::from_be_bytes([a, b, c, d, e, f, g, h]).saturating_sub(TAI64_EPOCH).min((1 << 34) - 1);
        let nanos = u64::from(u32::from_be_bytes(nanos)).min((1 << 30) - 1);
        Self(seconds << 30 | nanos)
    }

    fn seconds(self) -> u64 {
        self.0 >> 30
    }
}

/// See the module.
#[derive(Debug, Default)]
pub(super) struct HandshakeTimes {
    times: HashMap<u64, HandshakeTime>,
    journal: Option<Journal>,
}

#[derive(Debug)]
struct Journal {
    path: PathBuf,
    file: File,
    records: usize,
    /// It was said that it cannot be written.
    complained: bool,
}

impl HandshakeTimes {
    /// Takes over what the file holds, and keeps it up to date from here on.
    pub(super) fn keep_in(&mut self, path: &Path) -> io::Result<()> {
        match fs::read(path) {
            // A last record that was cut is none.
            Ok(bytes) => bytes.chunks_exact(RECORD).for_each(|record| self.take_over(record)),
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => return Err(error),
        }
        self.journal = Some(self.write_anew(path)?);
        Ok(())
    }

    /// Whether an initiation is newer than all before. If it is, it counts from here on.
    pub(super) fn accept(&mut self, key: &PublicKey, time: HandshakeTime) -> bool {
        let (short, full) = (short(key), self.times.len() >= KEPT_TIMESTAMPS);
        match self.times.get_mut(&short) {
            Some(last) if time <= *last => return false,
            Some(last) => *last = time,
            None if full => return true,
            None => drop(self.times.insert(short, time)),
        }
        self.note(short, time);
        true
    }

    fn take_over(&mut self, record: &[u8]) {
        let word = |at: usize| record[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
        let (short, time) = (word(0), HandshakeTime(word(8)));
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        // What cannot be, a damaged file says; it must not lock a peer out.
        if time.seconds() > (now + HANDSHAKE_FUTURE).as_secs() || self.times.len() >= KEPT_TIMESTAMPS {
            return;
        }
        let last = self.times.entry(short).or_insert(time);
        *last = time.max(*last);
    }

    fn note(&mut self, short: u64, time: HandshakeTime) {
        let Some(journal) = &mut self.journal else { return };
        let written = journal.file.write_all(&record(short, time));
        journal.records += 1;
        if let Err(error) = written
            && !std::mem::replace(&mut journal.complained, true)
        {
            let path = journal.path.display();
            tracing::warn!(%path, %error, "times of handshakes are not kept: after a restart old ones may be replayed");
        }
        if journal.records > 2 * self.times.len() + JOURNAL_SLACK {
            let (path, complained) = (journal.path.clone(), journal.complained);
            match self.write_anew(&path) {
                Ok(journal) => self.journal = Some(Journal { complained, ..journal }),
                // The old file is still there and is appended to; tried again much later.
                Err(_) => self.journal.iter_mut().for_each(|journal| journal.records = 0),
            }
        }
    }

    /// Writes all to another file, and puts it in the place of the first.
    fn write_anew(&self, path: &Path) -> io::Result<Journal> {
        let bytes: Vec<u8> = self.times.iter().flat_map(|(short, time)| record(*short, *time)).collect();
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes)?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Journal { path: path.to_owned(), file, records: self.times.len(), complained: false })
    }
}

fn record(short: u64, time: HandshakeTime) -> [u8; RECORD] {
    let mut record = [0; RECORD];
    record[..8].copy_from_slice(&short.to_le_bytes());
    record[8..].copy_from_slice(&time.0.to_le_bytes());
    record
}

fn short(key: &PublicKey) -> u64 {
    let [a, b, c, d, e, f, g, h, ..] = *key.as_bytes();
    u64::from_le_bytes([a, b, c, d, e, f, g, h])
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::PrivateKey;

    fn at(seconds: u64) -> HandshakeTime {
        HandshakeTime(seconds << 30)
    }

    fn opened(path: &Path) -> HandshakeTimes {
        let mut times = HandshakeTimes::default();
        times.keep_in(path).expect("a file");
        times
    }

    #[test]
    fn what_was_accepted_is_refused_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("handshakes");
        let [one, two] = [PrivateKey::generate().public_key(), PrivateKey::generate().public_key()];
        let mut times = opened(&path);
        assert!(times.accept(&one, at(100)) && times.accept(&two, at(100)) && times.accept(&one, at(101)));
        assert!(!times.accept(&one, at(101)));
        // Killed: nothing is done on the way out.
        std::mem::forget(times);
        let mut times = opened(&path);
        assert!(!times.accept(&one, at(101)) && !times.accept(&two, at(100)));
        assert!(times.accept(&one, at(102)));
        assert_eq!(fs::metadata(&path).expect("a file").len(), 3 * RECORD as u64);
    }

    #[test]
    fn the_file_does_not_grow_with_handshakes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("handshakes");
        let key = PrivateKey::generate().public_key();
        let mut times = opened(&path);
        for second in 0..10 * JOURNAL_SLACK as u64 {
            assert!(times.accept(&key, at(second)));
        }
        let length = fs::metadata(&path).expect("a file").len() as usize;
        assert!(length <= (JOURNAL_SLACK + 4) * RECORD, "{length} bytes");
        assert!(!opened(&path).accept(&key, at(10 * JOURNAL_SLACK as u64 - 1)));
    }

    #[test]
    fn a_file_that_is_cut_or_lies_locks_nobody_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("handshakes");
        let [one, two] = [PrivateKey::generate().public_key(), PrivateKey::generate().public_key()];
        let mut bytes = record(short(&one), at(50)).to_vec();
        bytes.extend(record(short(&two), HandshakeTime(u64::MAX)));
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("a file");
            let mut times = opened(&path);
            assert!(times.accept(&two, at(1)), "cut at {cut}");
            assert_eq!(times.accept(&one, at(50)), cut < RECORD, "cut at {cut}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(HandshakeTimes::default().keep_in(folder.path()).is_err());
        assert!(HandshakeTimes::default().keep_in(&folder.path().join("no/such")).is_err());
    }
}
