//! The file that keeps the times of handshakes over a restart. Written by one thread, beside those that answer.
//!
//! 16 bytes a record, each half little endian: the first half of the peer's key, and the time in 64 bits. They are appended
//! as they come, and written anew when most of the file is out of date. Whoever is killed loses what was accepted in the
//! moment before, a power failure the last few more: an initiation of these can be replayed then, once, which costs an
//! answer.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use super::Device;
use super::handshake_times::{HandshakeTime, Record};
use crate::limits::JOURNAL_SLACK;

/// Bytes of a record on disk.
const RECORD: usize = 16;

#[derive(Debug)]
pub(super) struct HandshakeJournal {
    path: PathBuf,
    file: File,
    records: usize,
    /// It was said that it cannot be written.
    complained: bool,
}

impl Device {
    /// Keeps the times of handshakes in a file, so that none can be replayed after a restart.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written. Without it, times are kept for as long as the device lives.
    pub fn keep_handshakes(&self, path: &Path) -> io::Result<()> {
        let records = HandshakeJournal::read(path)?;
        let mut journal = self.journal.lock();
        let all = self.handshakes.lock().take_over(records);
        *journal = Some(HandshakeJournal::write_anew(path, &all)?);
        self.handshakes.lock().note_accepted();
        Ok(())
    }

    /// Whether [`Device::write_handshakes`] has something to write.
    pub(crate) fn has_handshakes_to_write(&self) -> bool {
        self.handshakes.lock().has_unwritten()
    }

    /// Writes the times of handshakes that were accepted since this was called last to the file that keeps them. May wait
    /// for the disk; nobody waits for it.
    pub fn write_handshakes(&self) {
        let mut journal = self.journal.lock();
        let Some(journal) = &mut *journal else { return };
        let (unwritten, kept) = self.handshakes.lock().take_unwritten();
        if unwritten.is_empty() {
            return;
        }
        journal.append(&unwritten);
        if journal.records > 2 * kept + JOURNAL_SLACK {
            let all = self.handshakes.lock().all();
            journal.replace(&all);
        }
    }
}

impl HandshakeJournal {
    /// What the file holds; nothing if there is none.
    fn read(path: &Path) -> io::Result<Vec<Record>> {
        match fs::read(path) {
            // A last record that was cut is none.
            Ok(bytes) => Ok(bytes.chunks_exact(RECORD).map(record_of).collect()),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(Vec::new()),
            Err(error) => Err(error),
        }
    }

    fn append(&mut self, records: &[Record]) {
        self.records += records.len();
        if let Err(error) = self.file.write_all(&bytes_of(records))
            && !std::mem::replace(&mut self.complained, true)
        {
            let path = self.path.display();
            tracing::warn!(%path, %error, "times of handshakes are not kept: after a restart old ones may be replayed");
        }
    }

    fn replace(&mut self, all: &[Record]) {
        match Self::write_anew(&self.path, all) {
            Ok(journal) => *self = Self { complained: self.complained, ..journal },
            // The old file is still there and is appended to; tried again much later.
            Err(_) => self.records = 0,
        }
    }

    /// Writes all to another file, and puts it in the place of the first.
    fn write_anew(path: &Path, all: &[Record]) -> io::Result<Self> {
        let new = path.with_extension("new");
        let mut file = OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&new)?;
        file.write_all(&bytes_of(all))?;
        file.sync_all()?;
        fs::rename(&new, path)?;
        if let Some(folder) = path.parent() {
            File::open(folder)?.sync_all()?;
        }
        Ok(Self { path: path.to_owned(), file, records: all.len(), complained: false })
    }
}

fn bytes_of(records: &[Record]) -> Vec<u8> {
    records.iter().flat_map(|(short, time)| [short.to_le_bytes(), time.bits().to_le_bytes()].concat()).collect()
}

/// Of [`RECORD`] bytes.
fn record_of(bytes: &[u8]) -> Record {
    let word = |at: usize| bytes[at..at + 8].try_into().map(u64::from_le_bytes).unwrap_or_default();
    (word(0), HandshakeTime::from_bits(word(8)))
}

#[cfg(test)]
mod tests {
    use std::time::{Instant, SystemTime};

    use servos_mesh::PublicKey;

    use super::*;
    use crate::PrivateKey;
    use crate::limits::Limits;

    fn at(seconds: u64) -> HandshakeTime {
        HandshakeTime::from_bits(seconds << 30)
    }

    fn device() -> Device {
        Device::configurable(1_420, Limits::default(), (Instant::now(), SystemTime::now()))
    }

    fn opened(path: &Path) -> Device {
        let device = device();
        device.keep_handshakes(path).expect("a file");
        device
    }

    fn accept(device: &Device, key: &PublicKey, time: HandshakeTime) -> bool {
        device.handshakes.lock().accept(key, time)
    }

    fn keys() -> [PublicKey; 2] {
        [PrivateKey::generate().public_key(), PrivateKey::generate().public_key()]
    }

    #[test]
    fn what_was_accepted_is_refused_after_a_restart() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("handshakes");
        let [one, two] = keys();
        let device = opened(&path);
        assert!(accept(&device, &one, at(100)) && accept(&device, &two, at(100)) && accept(&device, &one, at(101)));
        assert!(device.has_handshakes_to_write());
        assert_eq!(fs::metadata(&path).expect("a file").len(), 0, "whoever answers does not write");
        device.write_handshakes();
        assert!(!device.has_handshakes_to_write());
        // Killed: nothing is done on the way out.
        std::mem::forget(device);
        let device = opened(&path);
        assert!(!accept(&device, &one, at(101)) && !accept(&device, &two, at(100)));
        assert!(accept(&device, &one, at(102)));
        device.write_handshakes();
        assert_eq!(fs::metadata(&path).expect("a file").len(), 3 * RECORD as u64);
    }

    #[test]
    fn the_file_does_not_grow_with_handshakes() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("handshakes");
        let [key, _] = keys();
        let device = opened(&path);
        for second in 0..10 * JOURNAL_SLACK as u64 {
            assert!(accept(&device, &key, at(second)));
            device.write_handshakes();
        }
        let length = fs::metadata(&path).expect("a file").len() as usize;
        assert!(length <= (JOURNAL_SLACK + 4) * RECORD, "{length} bytes");
        assert!(!accept(&opened(&path), &key, at(10 * JOURNAL_SLACK as u64 - 1)));
    }

    #[test]
    fn a_file_that_is_cut_or_lies_locks_nobody_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("handshakes");
        let [one, two] = keys();
        let half = |key: &PublicKey| key.as_bytes()[..8].try_into().map(u64::from_le_bytes).expect("eight bytes");
        let bytes = bytes_of(&[(half(&one), at(50)), (half(&two), HandshakeTime::from_bits(u64::MAX))]);
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("a file");
            let device = opened(&path);
            assert!(accept(&device, &two, at(1)), "cut at {cut}");
            assert_eq!(accept(&device, &one, at(50)), cut < RECORD, "cut at {cut}");
        }
    }

    #[test]
    fn a_file_that_cannot_be_read_is_an_error() {
        let folder = tempfile::tempdir().expect("a folder");
        assert!(device().keep_handshakes(folder.path()).is_err());
        assert!(device().keep_handshakes(&folder.path().join("no/such")).is_err());
    }

    #[test]
    fn without_a_file_nothing_waits_to_be_written() {
        let (device, [key, _]) = (device(), keys());
        assert!(accept(&device, &key, at(1)));
        assert!(!device.has_handshakes_to_write());
        device.write_handshakes();
    }
}
