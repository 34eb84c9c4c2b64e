//! The key of one direction: seals and opens in place, with what does so fastest on this machine.

use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};
#[cfg(target_arch = "x86_64")]
use subtle::ConstantTimeEq as _;

#[cfg(target_arch = "x86_64")]
use super::vectors::Vectors;
use super::wiped::Wiped;

/// Bytes of a tag.
pub(super) const TAG: usize = 16;

/// Messages that are sealed, or opened, together at most: a cipher may take fewer at once, and a last few alone.
pub(crate) const SIDE_BY_SIDE: usize = 32;

/// A key of ChaCha20-Poly1305, erased when dropped.
pub(super) struct TransportKey(Wiped<Ciphers>);

struct Ciphers {
    ring: LessSafeKey,
    /// For longer packets, where the machine has the instructions.
    #[cfg(target_arch = "x86_64")]
    vectors: Option<(Vectors, [u8; 32])>,
}

/// Whether this machine seals packets side by side, in vectors of 512 bits.
pub(crate) fn seals_side_by_side() -> bool {
    #[cfg(target_arch = "x86_64")]
    return matches!(Vectors::of_this_machine(), Some(Vectors::Wide(_)));
    #[cfg(not(target_arch = "x86_64"))]
    return false;
}

impl TransportKey {
    pub(super) fn new(bytes: &[u8; 32]) -> Self {
        let key = UnboundKey::new(&CHACHA20_POLY1305, bytes).expect("32 bytes are a key");
        Self(Wiped::new(Ciphers {
            ring: LessSafeKey::new(key),
            #[cfg(target_arch = "x86_64")]
            vectors: Vectors::of_this_machine().map(|vectors| (vectors, *bytes)),
        }))
    }

    /// Seals a packet in place. Returns its tag.
    pub(super) fn seal(&self, counter: u64, packet: &mut [u8]) -> [u8; TAG] {
        #[cfg(target_arch = "x86_64")]
        if let Some((Vectors::Wide(wide), key)) = &self.0.vectors
            && wide.is_worth(packet.len())
        {
            return wide.seal(key, counter, packet);
        }
        let sealed = self.0.ring.seal_in_place_separate_tag(nonce(counter), Aad::empty(), packet);
        let mut tag = [0; TAG];
        // Refused are only packets of more than 256 GiB.
        tag.copy_from_slice(sealed.expect("packets are short").as_ref());
        tag
    }

    /// Seals up to [`SIDE_BY_SIDE`] packets of one length in place, a counter each. Behind each is room for its tag.
    pub(super) fn seal_several(&self, counters: &[u64], packets: &mut [&mut [u8]]) {
        assert_eq!(counters.len(), packets.len(), "a counter for each packet");
        for (counters, packets) in counters.chunks(self.at_once()).zip(packets.chunks_mut(self.at_once())) {
            #[cfg(target_arch = "x86_64")]
            if let Some((vectors, key)) = self.worth_together(packets) {
                vectors.seal_several(key, counters, packets);
                continue;
            }
            for (counter, packet) in counters.iter().zip(packets) {
                let (packet, tag) = packet.split_last_chunk_mut().expect("room for a tag");
                *tag = self.seal(*counter, packet);
            }
        }
    }

    /// Opens up to [`SIDE_BY_SIDE`] of one length, with the tags behind them, in place, a counter each. Which are authentic;
    /// the bytes of others are of no use.
    #[must_use]
    pub(super) fn open_several(&self, counters: &[u64], sealed: &mut [&mut [u8]]) -> [bool; SIDE_BY_SIDE] {
        let mut are_right = [false; SIDE_BY_SIDE];
        let of_each = are_right[..sealed.len()].chunks_mut(self.at_once());
        let chunks = counters.chunks(self.at_once()).zip(sealed.chunks_mut(self.at_once()));
        for ((counters, sealed), are_right) in chunks.zip(of_each) {
            #[cfg(target_arch = "x86_64")]
            if let Some((vectors, key)) = self.worth_together(sealed) {
                vectors.open_several(key, counters, sealed, are_right);
                continue;
            }
            for ((is_right, sealed), counter) in are_right.iter_mut().zip(sealed).zip(counters) {
                *is_right = self.open(*counter, sealed);
            }
        }
        are_right
    }

    /// How many the cipher takes at once.
    fn at_once(&self) -> usize {
        #[cfg(target_arch = "x86_64")]
        if let Some((vectors, _)) = &self.0.vectors {
            return vectors.at_once();
        }
        SIDE_BY_SIDE
    }

    /// What takes these, with room for their tags, in less time together than one by one.
    #[cfg(target_arch = "x86_64")]
    fn worth_together(&self, sealed: &[&mut [u8]]) -> Option<(Vectors, &[u8; 32])> {
        let length = sealed.first()?.len().checked_sub(TAG)?;
        let (vectors, key) = self.0.vectors.as_ref()?;
        vectors.are_worth_together(sealed.len(), length).then_some((*vectors, key))
    }

    /// Opens a packet and the tag behind it in place. Whether it is authentic; if not, its bytes are of no use.
    #[must_use]
    pub(super) fn open(&self, counter: u64, sealed: &mut [u8]) -> bool {
        #[cfg(target_arch = "x86_64")]
        if let Some((Vectors::Wide(wide), key)) = &self.0.vectors
            && let Some((packet, tag)) = sealed.split_last_chunk_mut::<TAG>()
            && wide.is_worth(packet.len())
        {
            return wide.open(key, counter, packet, tag);
        }
        self.0.ring.open_in_place(nonce(counter), Aad::empty(), sealed).is_ok()
    }
}

/// Whoever breaks this would have two texts covered by one stream, or one not covered. Tags, or room for them, are behind.
#[cfg(target_arch = "x86_64")]
pub(super) fn assert_fit(counters: &[u64], texts: &[&mut [u8]], most: usize) {
    assert!(texts.len() <= most && texts.len() == counters.len(), "a counter for each text, of {most} at most");
    let length = texts.first().map_or(TAG, |text| text.len());
    assert!(length >= TAG && texts.iter().all(|text| text.len() == length), "texts of one length, and tags behind");
}

/// Compares in one go, in constant time; byte by byte took a hundredth of a receiver's work.
#[cfg(target_arch = "x86_64")]
#[inline]
pub(super) fn is_same(ours: &[u8; TAG], tag: &[u8; TAG]) -> bool {
    u128::from_ne_bytes(*ours).ct_eq(&u128::from_ne_bytes(*tag)).into()
}

/// The nonce of a counter (WireGuard paper §5.4.6): 4 bytes of zeros, the counter little endian.
fn nonce(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    Nonce::assume_unique_for_key(nonce)
}

#[cfg(test)]
mod tests {
    use chacha20poly1305::aead::{Aead as _, KeyInit as _};
    use chacha20poly1305::{ChaCha20Poly1305, Nonce};
    use proptest::prelude::*;

    use super::*;

    /// What the library of the handshakes makes of it: sealed, with the tag behind.
    fn theirs(key: &[u8; 32], counter: u64, packet: &[u8]) -> Vec<u8> {
        let mut nonce = Nonce::default();
        nonce[4..].copy_from_slice(&counter.to_le_bytes());
        ChaCha20Poly1305::new(key.into()).encrypt(&nonce, packet).expect("packets are short")
    }

    fn ours(key: &[u8; 32], counter: u64, packet: &[u8]) -> Vec<u8> {
        let mut sealed = packet.to_vec();
        let tag = TransportKey::new(key).seal(counter, &mut sealed);
        sealed.extend(tag);
        sealed
    }

    #[test]
    fn of_every_length_it_is_what_another_library_makes_and_opens() {
        let key: [u8; 32] = std::array::from_fn(|at| (at as u8).wrapping_mul(37));
        // Both ways of each length that a network carries, and where the streams of longer ones meet.
        let lengths = (0..=1_600).chain([2_943, 2_944, 2_945, 3_008, 3_009, 8_900, 34_816, 65_535]);
        for length in lengths {
            let packet: Vec<u8> = (0..length).map(|at: usize| (at * at / 8) as u8).collect();
            let counter = u64::MAX - 5 + length as u64 % 5;
            let mut sealed = ours(&key, counter, &packet);
            assert!(sealed == theirs(&key, counter, &packet), "{length} bytes");
            assert!(TransportKey::new(&key).open(counter, &mut sealed), "{length} bytes");
            assert!(sealed[..length] == packet, "{length} bytes");
        }
    }

    /// As on a machine that has vectors of 256 bits at most.
    fn half_wide(key: &[u8; 32]) -> TransportKey {
        let mut transport = TransportKey::new(key);
        #[cfg(target_arch = "x86_64")]
        {
            let half_wide = super::super::half_wide::HalfWide::of_this_machine();
            transport.0.vectors = half_wide.map(|half_wide| (Vectors::HalfWide(half_wide), *key));
        }
        transport
    }

    /// As on a machine that has no such vectors.
    fn narrow(key: &[u8; 32]) -> TransportKey {
        let mut transport = TransportKey::new(key);
        #[cfg(target_arch = "x86_64")]
        {
            transport.0.vectors = None;
        }
        transport
    }

    /// By each cipher that this machine has. Without AVX-512 `wide` is not among them; an emulator has it: Bochs 2.7 as a
    /// `corei3_cnl`, under a Linux that is told of no other form of XSAVE than the standard one
    /// (`clearcpuid=321,323,515,516`).
    #[test]
    fn several_are_sealed_and_opened_as_one_is() {
        let key = [0x5a; 32];
        for transport in [TransportKey::new(&key), half_wide(&key), narrow(&key)] {
            several_are_as_one_is(&key, &transport);
        }
    }

    fn several_are_as_one_is(key: &[u8; 32], transport: &TransportKey) {
        let counters: [u64; SIDE_BY_SIDE] = std::array::from_fn(|at| (u64::from(u32::MAX) - 3) * at as u64);
        for (count, length) in
            (1..=SIDE_BY_SIDE).flat_map(|count| (0..=1_600).chain([3_000, 8_900]).map(move |length| (count, length)))
        {
            // Each length with eight, and a few of them with each other number: blocks of one message end in each lane.
            let every = if count < 8 { 3 } else { 31 };
            if count != 8 && length % every != count % every {
                continue;
            }
            let counters = &counters[..count];
            let packets: Vec<Vec<u8>> =
                (0..count).map(|at| (0..length).map(|byte: usize| (byte * (at + 3)) as u8).collect()).collect();
            let mut sealed = packets.clone();
            sealed.iter_mut().for_each(|sealed| sealed.extend([0; TAG]));
            transport.seal_several(counters, &mut slices(&mut sealed));
            for (at, sealed) in sealed.iter().enumerate() {
                assert!(*sealed == theirs(key, counters[at], &packets[at]), "{length} bytes, number {at} of {count}");
            }
            let mut opened = sealed.clone();
            let are_right = transport.open_several(counters, &mut slices(&mut opened));
            assert!(!are_right[..count].contains(&false), "{count} of {length} bytes");
            assert!(opened.iter().zip(&packets).all(|(opened, packet)| opened[..length] == *packet), "{length} bytes");
            // Of one a bit is changed, be it in the packet or in the tag.
            let (damaged, byte) = (length % count, length * 7 % (length + TAG));
            sealed[damaged][byte] ^= 1 << (length % 8);
            let are_right = transport.open_several(counters, &mut slices(&mut sealed));
            for at in 0..count {
                assert_eq!(are_right[at], at != damaged, "{length} bytes, number {at} of {count}");
                assert!(
                    !are_right[at] || sealed[at][..length] == packets[at],
                    "{length} bytes, number {at} of {count}"
                );
            }
        }
    }

    fn slices(packets: &mut [Vec<u8>]) -> Vec<&mut [u8]> {
        packets.iter_mut().map(Vec::as_mut_slice).collect()
    }

    proptest! {
        #[test]
        fn it_is_what_another_library_makes(
            key: [u8; 32],
            counter: u64,
            fill in prop_oneof![Just(None), any::<u8>().prop_map(Some)],
            mut packet in prop::collection::vec(any::<u8>(), 0..1_500),
        ) {
            if let Some(byte) = fill {
                packet.fill(byte);
            }
            prop_assert_eq!(ours(&key, counter, &packet), theirs(&key, counter, &packet));
        }

        #[test]
        fn what_was_changed_does_not_open(
            key: [u8; 32],
            counter: u64,
            packet in prop::collection::vec(any::<u8>(), 1..1_500),
            at: prop::sample::Index,
            bit in 0_u8..8,
        ) {
            let sealed = ours(&key, counter, &packet);
            let mut changed = sealed.clone();
            changed[at.index(sealed.len())] ^= 1 << bit;
            prop_assert!(!TransportKey::new(&key).open(counter, &mut changed));
            prop_assert!(!TransportKey::new(&key).open(counter ^ (1 << bit), &mut sealed.clone()));
            let shorter = sealed.len() - 1;
            prop_assert!(!TransportKey::new(&key).open(counter, &mut sealed.clone()[..shorter]));
        }
    }
}
