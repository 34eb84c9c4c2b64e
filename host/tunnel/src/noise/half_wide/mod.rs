//! ChaCha20-Poly1305 (RFC 8439 §2.8) without additional data, in vectors of 256 bits: for x86-64 with AVX2 and BMI2 (AMD
//! since Zen, Intel since Haswell). Of the time of `ring`, 32 full packets together take 0.64 to be sealed and 0.65 to
//! be opened, two 0.77 and 0.79 (AMD Zen 3).
//!
//! `ring` hashes one part of a packet beside the rounds that cover the next, and hashes the last part and covers the first
//! alone. Here the last part of a packet is hashed beside the first rounds of the next, and nothing is alone but the last
//! part of the last.
//!
//! As in `wide`, its time depends on lengths alone, and the states that hold the key, or can be run back to it, are
//! erased.

mod poly1305;
mod rounds;

use std::arch::x86_64::*;
use std::ops::Range;

use super::chacha_state::state;
use super::transport_key::{SIDE_BY_SIDE, TAG, assert_fit, is_same};
use poly1305::{BLOCK, Poly1305};
use rounds::Work;

/// Bytes of a block of the stream.
const STREAM_BLOCK: usize = 64;

/// Bytes of stream that are made at once.
const STREAM: usize = 8 * STREAM_BLOCK;

/// Texts that are taken at once, at most: only what is hashed of the last has no rounds beside it.
pub(super) const AT_ONCE: usize = SIDE_BY_SIDE;

/// The proof that this machine has the instructions.
#[derive(Clone, Copy, Debug)]
pub(super) struct HalfWide(());

/// A part of a text that is to be hashed next.
struct Part {
    /// Which text.
    nth: usize,
    range: Range<usize>,
    /// Where in the stream that was made last lies what covers it.
    skip: usize,
    is_last: bool,
}

impl Part {
    /// What of it is hashed as it stands: what is before the [`poly1305::end`] of the texts.
    fn whole_blocks<'a>(&self, texts: &'a [&mut [u8]], end: usize) -> &'a [u8] {
        &texts[self.nth][self.range.start.min(end)..self.range.end.min(end)]
    }
}

impl HalfWide {
    /// `None` where the processor, or the system, has not all that it takes.
    pub(super) fn of_this_machine() -> Option<Self> {
        (is_x86_feature_detected!("avx2") && is_x86_feature_detected!("bmi2")).then_some(Self(()))
    }

    /// Whether so many texts of so many bytes take less time together than one by one with `ring`.
    pub(super) fn is_worth_together(self, count: usize, length: usize) -> bool {
        count > 1 && length >= 256
    }

    /// Seals up to [`AT_ONCE`] texts of one length in place, each with its counter. Behind each is room for its tag.
    pub(super) fn seal_several(self, key: &[u8; 32], counters: &[u64], texts: &mut [&mut [u8]]) {
        assert_fit(counters, texts, AT_ONCE);
        // SAFETY: `self` was made where the instructions are there.
        unsafe { cover_and_hash::<false>(key, counters, texts, &mut []) }
    }

    /// Opens up to [`AT_ONCE`] texts of one length, with the tags behind them, in place, and says which are what was sealed.
    /// The bytes of others are of no use.
    pub(super) fn open_several(
        self,
        key: &[u8; 32],
        counters: &[u64],
        texts: &mut [&mut [u8]],
        are_right: &mut [bool],
    ) {
        assert_fit(counters, texts, AT_ONCE);
        assert_eq!(are_right.len(), texts.len(), "an answer for each text");
        // SAFETY: as above.
        unsafe { cover_and_hash::<true>(key, counters, texts, are_right) }
    }
}

/// Covers each text with its stream, and hashes what it is while covered: after it where it is sealed, before it where it is
/// opened. The tag is put behind it, or compared with what is there. Texts are of more than a block.
#[target_feature(enable = "avx2,bmi2")]
fn cover_and_hash<const OPENS: bool>(
    key: &[u8; 32],
    counters: &[u64],
    texts: &mut [&mut [u8]],
    are_right: &mut [bool],
) {
    let Some(length) = texts.first().map(|text| text.len() - TAG) else { return };
    let end = poly1305::end_of(length);
    let mut work = Work::new();
    for (vector, word) in work.before.iter_mut().zip(state(key, 0, 0).iter()) {
        *vector = _mm256_set1_epi32(word.cast_signed());
    }
    // For the part that is made, and for the one that is due.
    let (mut stream, mut stream_due) = (&mut [0; STREAM], &mut [0; STREAM]);
    let mut due: Option<Part> = None;
    for (nth, counter) in counters.iter().enumerate() {
        work.before[12] = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
        work.before[14] = _mm256_set1_epi32(*counter as i32);
        work.before[15] = _mm256_set1_epi32((*counter >> 32) as i32);
        // The first block is the one-time key.
        let (mut at, mut skip) = (0, STREAM_BLOCK);
        loop {
            let words = match &due {
                Some(part) => work.rounds(part.whole_blocks(texts, end), part.is_last),
                None => work.rounds(&[], false),
            };
            let range = at..length.min(at + STREAM - skip);
            at = range.end;
            let part = Part { nth, range, skip, is_last: at == length };
            let fills = part.range.len() == STREAM - skip;
            if OPENS || !fills {
                write::<0, false>(&words, stream);
            } else if skip == 0 {
                write::<0, true>(&words, &mut texts[nth][part.range.start..]);
            } else {
                write::<1, true>(&words, &mut texts[nth][part.range.start..]);
            }
            if let Some(part) = due {
                end_part::<OPENS>(&work.hash, &part, texts[part.nth], stream_due, are_right);
            }
            if skip > 0 {
                work.hash = Poly1305::new(first_words(&words));
            }
            if !OPENS && !fills {
                cover(texts[nth], &part.range, &stream[skip..]);
            }
            // What it is while covered: before any of it is opened, or after all is sealed.
            let is_covered = if OPENS { skip > 0 } else { part.is_last };
            if is_covered {
                work.end = poly1305::end(texts[nth][end..].first_chunk().expect("room for a tag"), length);
            }
            std::mem::swap(&mut stream, &mut stream_due);
            let is_last = part.is_last;
            due = Some(part);
            if is_last {
                break;
            }
            skip = 0;
            work.before[12] = _mm256_add_epi32(work.before[12], _mm256_set1_epi32(8));
        }
    }
    if let Some(part) = due {
        work.hash_last(part.whole_blocks(texts, end));
        end_part::<OPENS>(&work.hash, &part, texts[part.nth], stream_due, are_right);
    }
}

/// Once the whole blocks of a part are hashed: its tag if it is the last, and what covered it is taken off.
#[target_feature(enable = "avx2,bmi2")]
#[inline]
fn end_part<const OPENS: bool>(
    hash: &Poly1305,
    part: &Part,
    text: &mut [u8],
    stream: &[u8; STREAM],
    are_right: &mut [bool],
) {
    if part.is_last {
        let tag = hash.tag();
        let room = text.last_chunk_mut().expect("room for a tag");
        if OPENS {
            are_right[part.nth] = is_same(&tag, room);
        } else {
            *room = tag;
        }
    }
    if OPENS {
        cover(text, &part.range, &stream[part.skip..]);
    }
}

/// Covers a part, in whole blocks: the last may reach into the room for the tag, which is written after it, or was read
/// before it.
#[target_feature(enable = "avx2")]
#[inline]
fn cover(text: &mut [u8], part: &Range<usize>, stream: &[u8]) {
    let whole = part.len().next_multiple_of(BLOCK);
    for (byte, cover) in text[part.start..][..whole].iter_mut().zip(stream) {
        *byte ^= cover;
    }
}

/// Puts the eight blocks that are made of `words`, less the first `SKIP`, one behind the other; covers with them what is
/// there if `COVERS`.
#[target_feature(enable = "avx2")]
#[inline]
fn write<const SKIP: usize, const COVERS: bool>(words: &[__m256i; 16], place: &mut [u8]) {
    let (places, _) = place.as_chunks_mut::<STREAM_BLOCK>();
    let places = &mut places[..8 - SKIP];
    let (halves, _) = words.as_chunks();
    for (at, half) in halves.iter().enumerate() {
        // One half of all blocks at a time: both would be too much for the registers.
        for (place, vector) in places.iter_mut().zip(&transposed(half)[SKIP..]) {
            let place = place[at * STREAM_BLOCK / 2..].as_mut_ptr().cast();
            // SAFETY: it is as long as a vector, and need not be aligned.
            unsafe {
                let covered = if COVERS { _mm256_xor_si256(*vector, _mm256_loadu_si256(place)) } else { *vector };
                _mm256_storeu_si256(place, covered);
            }
        }
    }
}

/// The first words of the first block.
#[target_feature(enable = "avx2")]
#[inline]
fn first_words(words: &[__m256i; 16]) -> [u64; 4] {
    let mut first = [0; 4];
    let (halves, _) = words.as_chunks();
    // SAFETY: it is as long as a vector, and need not be aligned.
    unsafe { _mm256_storeu_si256(first.as_mut_ptr().cast(), transposed(&halves[0])[0]) };
    first
}

/// Eight vectors of a word each, a lane for each block: eight words of a block each.
#[target_feature(enable = "avx2")]
#[inline]
fn transposed([a, b, c, d, e, f, g, h]: &[__m256i; 8]) -> [__m256i; 8] {
    let (first, second) = (fours([*a, *b, *c, *d]), fours([*e, *f, *g, *h]));
    let mut blocks = [_mm256_setzero_si256(); 8];
    for at in 0..4 {
        blocks[at] = _mm256_permute2x128_si256::<0x20>(first[at], second[at]);
        blocks[4 + at] = _mm256_permute2x128_si256::<0x31>(first[at], second[at]);
    }
    blocks
}

/// Four words of blocks 0 and 4, 1 and 5, 2 and 6, 3 and 7.
#[target_feature(enable = "avx2")]
#[inline]
fn fours([a, b, c, d]: [__m256i; 4]) -> [__m256i; 4] {
    let (low_ab, high_ab) = (_mm256_unpacklo_epi32(a, b), _mm256_unpackhi_epi32(a, b));
    let (low_cd, high_cd) = (_mm256_unpacklo_epi32(c, d), _mm256_unpackhi_epi32(c, d));
    [
        _mm256_unpacklo_epi64(low_ab, low_cd),
        _mm256_unpackhi_epi64(low_ab, low_cd),
        _mm256_unpacklo_epi64(high_ab, high_cd),
        _mm256_unpackhi_epi64(high_ab, high_cd),
    ]
}
