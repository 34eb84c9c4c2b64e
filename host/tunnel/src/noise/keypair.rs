//! A keypair: seals and opens transport messages in place (WireGuard paper §5.4.6). Shared by the threads that use it;
//! none waits for another but for the replay window.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use super::handshake::SessionKeys;
use super::message::HEADER;
use super::wiped::Wiped;
use super::{Refused, ReplayWindow};
use crate::limits::{OVERHEAD, REJECT_AFTER_MESSAGES, REJECT_AFTER_TIME};

/// Bytes of the tag behind a sealed packet.
const TAG: usize = OVERHEAD - HEADER;

/// A keypair that was agreed.
pub(crate) struct Keypair {
    /// Our index of it.
    pub(crate) index: u32,
    /// Whether we sent the initiation: who did renews it.
    pub(crate) initiator: bool,
    peer_index: u32,
    born: Instant,
    sealing: Wiped<LessSafeKey>,
    opening: Wiped<LessSafeKey>,
    /// Counter of the next message to be sealed.
    next: AtomicU64,
    window: Mutex<ReplayWindow>,
}

impl Keypair {
    pub(crate) fn new(now: Instant, index: u32, initiator: bool, keys: &SessionKeys) -> Self {
        let key = |bytes: &[u8; 32]| {
            let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("32 bytes are a key");
            Wiped::new(LessSafeKey::new(key))
        };
        Self {
            index,
            initiator,
            peer_index: keys.peer_index,
            born: now,
            sealing: key(&keys.sealing),
            opening: key(&keys.opening),
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

    /// Seals a message in place: `message` is the room for the header, the packet, and room for the tag.
    pub(crate) fn seal(&self, counter: u64, message: &mut [u8]) {
        let Some((head, rest)) = message.split_first_chunk_mut::<HEADER>() else { return };
        let Some((packet, tag)) = rest.split_last_chunk_mut::<TAG>() else { return };
        head[..4].copy_from_slice(&4_u32.to_le_bytes());
        head[4..8].copy_from_slice(&self.peer_index.to_le_bytes());
        head[8..].copy_from_slice(&counter.to_le_bytes());
        let sealed = self.sealing.seal_in_place_separate_tag(nonce(counter), Aad::empty(), packet);
        // Refused are only packets of more than 256 GiB.
        tag.copy_from_slice(sealed.expect("packets are short").as_ref());
    }

    /// Opens a message in place: the packet, with its padding, is where [`HEADER`] bytes come before it and the tag
    /// after. A message is opened once.
    pub(crate) fn open(&self, now: Instant, message: &mut [u8]) -> Result<(), Refused> {
        if !self.is_alive(now) {
            return Err(Refused::NoKeypair);
        }
        let (head, sealed) = message.split_first_chunk_mut::<HEADER>().ok_or(Refused::Invalid)?;
        let counter =
            u64::from_le_bytes([head[8], head[9], head[10], head[11], head[12], head[13], head[14], head[15]]);
        if counter >= REJECT_AFTER_MESSAGES {
            return Err(Refused::Invalid);
        }
        self.opening.open_in_place(nonce(counter), Aad::empty(), sealed).map_err(|_| Refused::Invalid)?;
        if self.window.lock().note(counter) { Ok(()) } else { Err(Refused::Replayed) }
    }
}

impl std::fmt::Debug for Keypair {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Keypair").field("index", &self.index).finish_non_exhaustive()
    }
}

fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
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
        keypair.seal(counter, &mut message);
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
