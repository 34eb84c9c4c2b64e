//! A keypair: seals and opens transport messages in place (WireGuard paper §5.4.6). Shared by the threads that use it;
//! none waits for another but for the replay window.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;

use super::handshake::SessionKeys;
use super::message::HEADER;
use super::transport_key::{SIDE_BY_SIDE, TAG, TransportKey};
use super::{Refused, ReplayWindow};
use crate::limits::{OVERHEAD, REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME};

const _: () = assert!(HEADER + TAG == OVERHEAD);

/// What became of messages that came together; of those beyond the last, nothing.
pub(crate) type Opened = [Result<(), Refused>; SIDE_BY_SIDE];

/// A keypair that was agreed.
pub(crate) struct Keypair {
    /// Our index of it.
    pub(crate) index: u32,
    /// Whether we sent the initiation: who did renews it.
    pub(crate) initiator: bool,
    peer_index: u32,
    born: Instant,
    sealing: TransportKey,
    opening: TransportKey,
    /// Counter of the next message to be sealed.
    next: AtomicU64,
    window: Mutex<ReplayWindow>,
}

impl Keypair {
    pub(crate) fn new(now: Instant, index: u32, initiator: bool, keys: &SessionKeys) -> Self {
        Self {
            index,
            initiator,
            peer_index: keys.peer_index,
            born: now,
            sealing: TransportKey::new(&keys.sealing),
            opening: TransportKey::new(&keys.opening),
            next: AtomicU64::new(0),
            window: Mutex::default(),
        }
    }

    /// How old it is.
    pub(crate) fn age(&self, now: Instant) -> Duration {
        now.saturating_duration_since(self.born)
    }

    /// When it dies.
    pub(crate) fn dies(&self) -> Instant {
        self.born + REJECT_AFTER_TIME
    }

    /// Whether it is young enough to seal and open.
    pub(crate) fn is_alive(&self, now: Instant) -> bool {
        self.age(now) < REJECT_AFTER_TIME
    }

    /// Messages that were sealed with it, or are about to be.
    pub(crate) fn sealed(&self) -> u64 {
        self.next.load(Relaxed)
    }

    /// Takes `count` counters in a row; the first comes back. `None` when they are used up.
    pub(crate) fn reserve(&self, count: u64) -> Option<u64> {
        let taken = self.next.fetch_update(Relaxed, Relaxed, |next| {
            next.checked_add(count).filter(|after| *after <= REJECT_AFTER_MESSAGES)
        });
        taken.ok()
    }

    /// Seals messages of `size` bytes in place, with counters from `first` on: each is the room for the header, the
    /// packet, and room for the tag.
    pub(crate) fn seal(&self, first: u64, messages: &mut [u8], size: usize) {
        let mut counters = first..;
        for some in messages.chunks_mut(SIDE_BY_SIDE * size) {
            let (mut numbers, mut packets) = ([0; SIDE_BY_SIDE], <[&mut [u8]; SIDE_BY_SIDE]>::default());
            let count = some.len() / size;
            for (at, (message, counter)) in some.chunks_exact_mut(size).zip(&mut counters).enumerate() {
                (numbers[at], packets[at]) = (counter, self.begin(counter, message));
            }
            self.sealing.seal_several(&numbers[..count], &mut packets[..count]);
        }
    }

    /// Writes the header of a message. Returns its packet, with the room for the tag.
    fn begin<'a>(&self, counter: u64, message: &'a mut [u8]) -> &'a mut [u8] {
        let (head, rest) = message.split_at_mut(HEADER);
        head[..4].copy_from_slice(&4_u32.to_le_bytes());
        head[4..8].copy_from_slice(&self.peer_index.to_le_bytes());
        head[8..].copy_from_slice(&counter.to_le_bytes());
        rest
    }

    /// Opens a message in place: the packet, with its padding, is where [`HEADER`] bytes come before it and the tag
    /// after. A message is opened once.
    pub(crate) fn open(&self, now: Instant, message: &mut [u8]) -> Result<(), Refused> {
        if !self.is_alive(now) {
            return Err(Refused::NoKeypair);
        }
        let (counter, sealed) = split(message)?;
        if !self.opening.open(counter, sealed) {
            return Err(Refused::Invalid);
        }
        if self.window.lock().note(counter) { Ok(()) } else { Err(Refused::Replayed) }
    }

    /// Opens up to [`SIDE_BY_SIDE`] messages of `size` bytes in place, as if one after the other.
    pub(crate) fn open_several(&self, now: Instant, messages: &mut [u8], size: usize) -> Opened {
        if !self.is_alive(now) {
            return [Err(Refused::NoKeypair); SIDE_BY_SIDE];
        }
        let (mut counters, mut sealed) = ([0; SIDE_BY_SIDE], <[&mut [u8]; SIDE_BY_SIDE]>::default());
        let mut count = 0;
        for message in messages.chunks_exact_mut(size).take(SIDE_BY_SIDE) {
            match split(message) {
                Ok(split) => (counters[count], sealed[count]) = split,
                // One that is no message of ours is enough: they are looked at one by one.
                Err(_) => return self.open_each(now, messages, size),
            }
            count += 1;
        }
        let are_right = self.opening.open_several(&counters[..count], &mut sealed[..count]);
        let mut opened = [Err(Refused::Invalid); SIDE_BY_SIDE];
        let mut window = self.window.lock();
        for ((opened, counter), _) in opened.iter_mut().zip(counters).zip(are_right).filter(|(_, is_right)| *is_right) {
            *opened = if window.note(counter) { Ok(()) } else { Err(Refused::Replayed) };
        }
        opened
    }

    fn open_each(&self, now: Instant, messages: &mut [u8], size: usize) -> Opened {
        let mut results = [Err(Refused::Invalid); SIDE_BY_SIDE];
        for (result, message) in results.iter_mut().zip(messages.chunks_exact_mut(size)) {
            *result = self.open(now, message);
        }
        results
    }
}

/// A message's counter, and what is behind its header.
fn split(message: &mut [u8]) -> Result<(u64, &mut [u8]), Refused> {
    let (head, sealed) = message.split_first_chunk_mut::<HEADER>().ok_or(Refused::Invalid)?;
    let counter = u64::from_le_bytes([head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15]]);
    if counter < REJECT_AFTER_MESSAGES && sealed.len() >= TAG { Ok((counter, sealed)) } else { Err(Refused::Invalid) }
}

impl std::fmt::Debug for Keypair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keypair").field("index", &self.index).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use zeroize::Zeroizing;

    use super::*;

    fn pair(now: Instant) -> (Keypair, Keypair) {
        let keys = |sealing: u8, opening: u8, peer_index| SessionKeys {
            sealing: Zeroizing::new([sealing; 32]),
            opening: Zeroizing::new([opening; 32]),
            peer_index,
        };
        (Keypair::new(now, 1, true, &keys(1, 2, 2)), Keypair::new(now, 2, false, &keys(2, 1, 1)))
    }

    fn message(keypair: &Keypair, counter: u64) -> Vec<u8> {
        let mut message = vec![0; OVERHEAD + 32];
        message[HEADER..HEADER + 32].fill(0x5a);
        let size = message.len();
        keypair.seal(counter, &mut message, size);
        message
    }

    #[test]
    fn what_is_sealed_opens_once() {
        let now = Instant::now();
        let (one, other) = pair(now);
        let sealed = message(&one, 7);
        assert_eq!(sealed[..8], [4, 0, 0, 0, 2, 0, 0, 0]);
        assert_eq!(sealed[8..16], 7_u64.to_le_bytes());
        let mut opened = sealed.clone();
        assert_eq!(other.open(now, &mut opened), Ok(()));
        assert_eq!(opened[HEADER..HEADER + 32], [0x5a; 32]);
        assert_eq!(other.open(now, &mut sealed.clone()), Err(Refused::Replayed));
        for at in 8..sealed.len() {
            let mut changed = sealed.clone();
            changed[at] ^= 1;
            assert_eq!(other.open(now, &mut changed), Err(Refused::Invalid), "byte {at}");
        }
        assert_eq!(one.open(now, &mut sealed.clone()), Err(Refused::Invalid), "its own");
    }

    #[test]
    fn many_are_sealed_as_one_is_and_opened_once() {
        let now = Instant::now();
        let (one, other) = pair(now);
        for (size, count) in [(OVERHEAD, 8), (OVERHEAD + 64, 67), (OVERHEAD + 1_420, 96), (OVERHEAD + 8_900, 9)] {
            let first = one.reserve(count).expect("it is young");
            let mut messages = vec![0x5a; size * count as usize];
            one.seal(first, &mut messages, size);
            let alone = messages.chunks_exact(size).zip(first..).all(|(sealed, counter)| {
                let mut message = vec![0x5a; size];
                one.seal(counter, &mut message, size);
                message == sealed
            });
            assert!(alone, "{count} of {size} bytes");
            for some in messages.chunks_mut(SIDE_BY_SIDE * size) {
                let count = some.len() / size;
                let (damaged, beyond) = (count / 2, count - 1);
                let mut changed = some.to_vec();
                changed[damaged * size + size / 2] ^= 1;
                changed[beyond * size + 8..][..8].copy_from_slice(&u64::MAX.to_le_bytes());
                let (mut expected, mut replayed) = ([Ok(()); SIDE_BY_SIDE], [Err(Refused::Replayed); SIDE_BY_SIDE]);
                (expected[damaged], expected[beyond]) = (Err(Refused::Invalid), Err(Refused::Invalid));
                (replayed[damaged], replayed[beyond]) = (Ok(()), Ok(()));
                let outcomes = other.open_several(now, &mut changed, size);
                assert_eq!(outcomes[..count], expected[..count], "{count} of {size} bytes");
                let outcomes = other.open_several(now, &mut some.to_vec(), size);
                assert_eq!(outcomes[..count], replayed[..count], "{count} of {size} bytes");
                let opened = &changed[..size][HEADER..size - TAG];
                assert!(damaged == 0 || opened.iter().all(|byte| *byte == 0x5a), "{count} of {size} bytes");
                let late = now + REJECT_AFTER_TIME;
                assert_eq!(
                    other.open_several(late, some, size)[..count],
                    [Err(Refused::NoKeypair); SIDE_BY_SIDE][..count]
                );
            }
        }
    }

    #[test]
    fn dead_after_three_minutes_and_at_the_last_message() {
        let now = Instant::now();
        let (one, other) = pair(now);
        let late = now + REJECT_AFTER_TIME;
        assert_eq!(other.open(late, &mut message(&one, 1)), Err(Refused::NoKeypair));
        assert_eq!(other.open(now, &mut message(&one, REJECT_AFTER_MESSAGES)), Err(Refused::Invalid));
        assert_eq!(other.open(now, &mut message(&one, REJECT_AFTER_MESSAGES - 1)), Ok(()));

        assert_eq!(one.reserve(3), Some(0));
        one.next.store(REJECT_AFTER_MESSAGES - 2, Relaxed);
        assert_eq!(one.reserve(3), None);
        assert_eq!(one.reserve(2), Some(REJECT_AFTER_MESSAGES - 2));
        assert_eq!(one.reserve(1), None);
    }
}
