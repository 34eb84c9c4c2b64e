//! The file that keeps the times of handshakes over a restart. Written by one thread, beside those that answer.
//!
//! 16 bytes a record, each half little endian: the first half of the peer's key, and the time in 64 bits. Whoever is killed
//! loses what was accepted in the moment before, a power failure the last few more: an initiation of these can be replayed
//! then, once, which costs an answer.

use std::io;
use std::path::Path;

use super::Device;
use super::handshake_times::{HandshakeTime, Record};
use super::journal::{Journal, Kept};

impl Device {
    /// Keeps the times of handshakes in a file, so that none can be replayed after a restart.
    ///
    /// # Errors
    ///
    /// If the file cannot be read or written. Without it, times are kept for as long as the device lives.
    pub fn keep_handshakes(&self, path: &Path) -> io::Result<()> {
        let records = Journal::read(path)?;
        let mut journal = self.handshake_journal.lock();
        let all = self.handshakes.lock().take_over(records);
        *journal = Some(Journal::write_anew(path, &all)?);
        self.handshakes.lock().note_accepted();
        Ok(())
    }

    pub(super) fn write_handshakes(&self) {
        let mut journal = self.handshake_journal.lock();
        let Some(journal) = &mut *journal else { return };
        let (unwritten, kept) = self.handshakes.lock().take_unwritten();
        if journal.append(&unwritten, kept) {
            let all = self.handshakes.lock().all();
            journal.replace(&all);
        }
    }
}

impl Kept for Record {
    const SIZE: usize = 16;
    const WITHOUT: &str = "times of handshakes are not kept: after a restart old ones may be replayed";

    fn write(&self, bytes: &mut Vec<u8>) {
        let (short, time) = self;
        bytes.extend(short.to_le_bytes());
        bytes.extend(time.bits().to_le_bytes());
    }

    fn read(bytes: &[u8]) -> Option<Self> {
        let (short, time) = (bytes.first_chunk()?, bytes.last_chunk()?);
        Some((u64::from_le_bytes(*short), HandshakeTime::from_bits(u64::from_le_bytes(*time))))
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::time::{Instant, SystemTime};

    use servos_mesh::PublicKey;

    use super::*;
    use crate::PrivateKey;
    use crate::limits::{JOURNAL_SLACK, Limits};

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
        assert!(device.has_unwritten());
        assert_eq!(fs::metadata(&path).expect("a file").len(), 0, "whoever answers does not write");
        device.write_handshakes();
        assert!(!device.has_unwritten());
        // Killed: nothing is done on the way out.
        std::mem::forget(device);
        let device = opened(&path);
        assert!(!accept(&device, &one, at(101)) && !accept(&device, &two, at(100)));
        assert!(accept(&device, &one, at(102)));
        device.write_handshakes();
        assert_eq!(fs::metadata(&path).expect("a file").len(), 3 * Record::SIZE as u64);
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
        assert!(length <= (JOURNAL_SLACK + 4) * Record::SIZE, "{length} bytes");
        assert!(!accept(&opened(&path), &key, at(10 * JOURNAL_SLACK as u64 - 1)));
    }

    #[test]
    fn a_file_that_is_cut_or_lies_locks_nobody_out() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("handshakes");
        let [one, two] = keys();
        let half = |key: &PublicKey| key.as_bytes()[..8].try_into().map(u64::from_le_bytes).expect("eight bytes");
        let mut bytes = Vec::new();
        (half(&one), at(50)).write(&mut bytes);
        (half(&two), HandshakeTime::from_bits(u64::MAX)).write(&mut bytes);
        for cut in 0..bytes.len() {
            fs::write(&path, &bytes[..cut]).expect("a file");
            let device = opened(&path);
            assert!(accept(&device, &two, at(1)), "cut at {cut}");
            assert_eq!(accept(&device, &one, at(50)), cut < Record::SIZE, "cut at {cut}");
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
        assert!(!device.has_unwritten());
        device.write_handshakes();
    }
}
