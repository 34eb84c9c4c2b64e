//! ChaCha20 (RFC 8439 §2.3): a vector holds one word of the state for each of 8 or 16 blocks, of one message or of several.
//! Both kinds of vector are worked on side by side where 24 blocks are wanted: they do not wait for each other, and fill
//! all registers.

use std::arch::x86_64::*;

use zeroize::Zeroizing;

use super::super::chacha_state::state;
use super::{load, quarters, store};

/// Bytes of a block.
pub(super) const BLOCK: usize = 64;

/// Blocks of a message of 1,420 bytes, padded, and of its one-time key.
pub(super) const BLOCKS: usize = 24;

/// A column round and a diagonal round, of quarter rounds on the words that are named.
macro_rules! double_round {
    ($step:ident) => {
        $step!(0 4 8 12, 1 5 9 13, 2 6 10 14, 3 7 11 15);
        $step!(0 5 10 15, 1 6 11 12, 2 7 8 13, 3 4 9 14);
    };
}

/// Quarter rounds (§2.1) on words of one state or two, each with the instructions for its vectors.
macro_rules! quarter_rounds {
    ([$($state:tt),+] $($a:literal $b:literal $c:literal $d:literal),+) => {
        quarter_rounds!(@half 16 ($([$a $b $d])+) $($state)+);
        quarter_rounds!(@half 12 ($([$c $d $b])+) $($state)+);
        quarter_rounds!(@half 8 ($([$a $b $d])+) $($state)+);
        quarter_rounds!(@half 7 ($([$c $d $b])+) $($state)+);
    };
    (@half $by:literal $words:tt $($state:tt)+) => {
        $(quarter_rounds!(@step $by $words $state);)+
    };
    (@step $by:literal ($([$sum:literal $term:literal $mixed:literal])+) ($x:ident $add:ident $xor:ident $rotate:ident)) => {
        $($x[$sum] = $add($x[$sum], $x[$term]);)+
        $($x[$mixed] = $rotate::<$by>($xor($x[$mixed], $x[$sum]));)+
    };
}

/// The first blocks of a stream: `blocks` of them or more.
#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
pub(super) fn begin(key: &[u8; 32], counter: u64, blocks: usize, stream: &mut [__m512i; BLOCKS]) {
    let state = state(key, counter, 0);
    let Some((first, last)) = stream.split_first_chunk_mut::<16>() else { return };
    if blocks <= 8 {
        first[..8].copy_from_slice(&eight(&state));
    } else {
        let (sixteen, eight) = twenty_four(&state);
        *first = sixteen;
        last.copy_from_slice(&eight);
    }
}

/// Covers a text with the stream from block `first` on, or uncovers it.
#[target_feature(enable = "avx512f,avx512bw,avx512vl")]
pub(super) fn cover(key: &[u8; 32], counter: u64, first: u32, text: &mut [u8]) {
    let mut state = state(key, counter, first);
    for part in text.chunks_mut(BLOCKS * BLOCK) {
        if part.len() <= 8 * BLOCK {
            xor(part, &eight(&state));
        } else {
            let (sixteen, eight) = twenty_four(&state);
            match part.split_first_chunk_mut() {
                Some((head, rest)) => {
                    xor_whole(head, &sixteen);
                    xor(rest, &eight);
                }
                None => xor(part, &sixteen),
            }
        }
        state[12] += BLOCKS as u32;
    }
}

/// The streams of up to eight messages of one length, side by side: a vector holds blocks of one message or of several,
/// so that no lane is idle before the last.
pub(super) struct Streams {
    /// The state that all have, but for counters and numbers of blocks.
    state: Zeroizing<[u32; 16]>,
    /// The counters, a lane a message: their lower halves, and their upper.
    counters: [__m512i; 2],
    /// Block 0 of each message, and the first 8 blocks that cover.
    first: [__m512i; 16],
    lanes: Lanes,
}

impl Streams {
    /// Of messages of `length` bytes, with a counter each.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn new(key: &[u8; 32], counters: &[u64], length: usize) -> Self {
        let mut words = [[0; 16]; 2];
        for (at, counter) in counters.iter().enumerate().take(8) {
            (words[0][at], words[1][at]) = (*counter as u32, (*counter >> 32) as u32);
        }
        let mut streams = Self {
            state: state(key, 0, 0),
            // SAFETY: they are as long as a vector.
            counters: words.map(|words| unsafe { _mm512_loadu_si512(words.as_ptr().cast()) }),
            first: [_mm512_setzero_si512(); 16],
            lanes: Lanes::new(length),
        };
        streams.first = streams.blocks(&streams.lanes.with_first_blocks());
        streams
    }

    /// The first half of block 0 of each message: four words of 64 bits, a lane a message.
    #[target_feature(enable = "avx512f")]
    #[inline]
    pub(super) fn one_time_keys(&self) -> [__m512i; 4] {
        let mut words = [[0; 8]; 4];
        for (at, first) in self.first.iter().enumerate().take(8) {
            let mut block = [0_u64; 8];
            // SAFETY: it is as long as a vector.
            unsafe { _mm512_storeu_si512(block.as_mut_ptr().cast(), *first) };
            (0..4).for_each(|word| words[word][at] = block[word]);
        }
        // SAFETY: they are as long as a vector.
        words.map(|words| unsafe { _mm512_loadu_si512(words.as_ptr().cast()) })
    }

    /// Covers the messages, or uncovers them.
    #[target_feature(enable = "avx512f,avx512bw")]
    #[inline]
    pub(super) fn cover(&mut self, texts: &mut [&mut [u8]]) {
        let blocks: usize = texts.iter().map(|text| text.len().div_ceil(BLOCK)).sum();
        let mut parts = texts.iter_mut().flat_map(|text| text.chunks_mut(BLOCK));
        xor_each(&mut parts, &self.first[8..]);
        for _ in 0..blocks.saturating_sub(8).div_ceil(16) {
            self.lanes.advance();
            xor_each(&mut parts, &self.blocks(&self.lanes));
        }
    }

    #[target_feature(enable = "avx512f")]
    #[inline]
    fn blocks(&self, lanes: &Lanes) -> [__m512i; 16] {
        let mut before = spread_16(&self.state);
        before[12] = lanes.block;
        before[14] = _mm512_permutexvar_epi32(lanes.message, self.counters[0]);
        before[15] = _mm512_permutexvar_epi32(lanes.message, self.counters[1]);
        blocks_of_16(rounds_16(before), before)
    }
}

/// Which block of which message each of 16 lanes is.
struct Lanes {
    message: __m512i,
    block: __m512i,
    /// Blocks that cover one message; block 0 does not.
    each: i32,
}

impl Lanes {
    /// From the eighth block before the messages to their eighth.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn new(length: usize) -> Self {
        let block = _mm512_setr_epi32(-7, -6, -5, -4, -3, -2, -1, 0, 1, 2, 3, 4, 5, 6, 7, 8);
        let mut lanes = Self { message: _mm512_setzero_si512(), block, each: length.div_ceil(BLOCK) as i32 };
        lanes.wrap();
        lanes
    }

    /// Block 0 of each message in place of what is before the messages.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn with_first_blocks(&self) -> Self {
        let messages = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 0, 0, 0, 0, 0, 0, 0, 0);
        Self {
            message: _mm512_mask_mov_epi32(self.message, 0xff, messages),
            block: _mm512_max_epi32(self.block, _mm512_setzero_si512()),
            each: self.each,
        }
    }

    /// The 16 blocks after these.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn advance(&mut self) {
        self.block = _mm512_add_epi32(self.block, _mm512_set1_epi32(16));
        self.wrap();
    }

    /// What is beyond the last block of a message is of the next.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn wrap(&mut self) {
        let each = _mm512_set1_epi32(self.each.max(1));
        loop {
            let beyond = _mm512_cmpgt_epi32_mask(self.block, each);
            if beyond == 0 {
                return;
            }
            self.block = _mm512_mask_sub_epi32(self.block, beyond, self.block, each);
            self.message = _mm512_mask_add_epi32(self.message, beyond, self.message, _mm512_set1_epi32(1));
        }
    }
}

#[target_feature(enable = "avx512f")]
#[inline]
fn rounds_16(mut x: [__m512i; 16]) -> [__m512i; 16] {
    macro_rules! step { ($($words:tt)*) => {
        quarter_rounds!([(x _mm512_add_epi32 _mm512_xor_si512 _mm512_rol_epi32)] $($words)*)
    } }
    for _ in 0..10 {
        double_round!(step);
    }
    x
}

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn rounds_8(mut x: [__m256i; 16]) -> [__m256i; 16] {
    macro_rules! step { ($($words:tt)*) => {
        quarter_rounds!([(x _mm256_add_epi32 _mm256_xor_si256 _mm256_rol_epi32)] $($words)*)
    } }
    for _ in 0..10 {
        double_round!(step);
    }
    x
}

/// Blocks `state[12]` and the 7 after it.
#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn eight(state: &[u32; 16]) -> [__m512i; 8] {
    let before = spread_8(state, 0);
    blocks_of_8(rounds_8(before), before)
}

/// Blocks `state[12]` and the 23 after it.
#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn twenty_four(state: &[u32; 16]) -> ([__m512i; 16], [__m512i; 8]) {
    let (mut x, mut y) = (spread_16(state), spread_8(state, 16));
    macro_rules! step { ($($words:tt)*) => {
        quarter_rounds!([
            (x _mm512_add_epi32 _mm512_xor_si512 _mm512_rol_epi32),
            (y _mm256_add_epi32 _mm256_xor_si256 _mm256_rol_epi32)
        ] $($words)*)
    } }
    for _ in 0..10 {
        double_round!(step);
    }
    // Spread again in place of kept: all registers are in use.
    (blocks_of_16(x, spread_16(state)), blocks_of_8(y, spread_8(state, 16)))
}

#[target_feature(enable = "avx512f")]
#[inline]
fn spread_16(state: &[u32; 16]) -> [__m512i; 16] {
    let mut x = [_mm512_setzero_si512(); 16];
    for (vector, word) in x.iter_mut().zip(state) {
        *vector = _mm512_set1_epi32(word.cast_signed());
    }
    let numbers = _mm512_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14, 15);
    x[12] = _mm512_add_epi32(x[12], numbers);
    x
}

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn spread_8(state: &[u32; 16], first: i32) -> [__m256i; 16] {
    let mut x = [_mm256_setzero_si256(); 16];
    for (vector, word) in x.iter_mut().zip(state) {
        *vector = _mm256_set1_epi32(word.cast_signed());
    }
    let numbers = _mm256_setr_epi32(0, 1, 2, 3, 4, 5, 6, 7);
    x[12] = _mm256_add_epi32(x[12], _mm256_add_epi32(numbers, _mm256_set1_epi32(first)));
    x
}

/// From a vector a word to a vector a block; `before` is added to `x`, as the last step of the block function.
#[target_feature(enable = "avx512f")]
#[inline]
fn blocks_of_16(x: [__m512i; 16], before: [__m512i; 16]) -> [__m512i; 16] {
    let mut fours = [_mm512_setzero_si512(); 16];
    for at in (0..16).step_by(4) {
        let word = |more: usize| _mm512_add_epi32(x[at + more], before[at + more]);
        let (low, high) = (_mm512_unpacklo_epi32(word(0), word(1)), _mm512_unpackhi_epi32(word(0), word(1)));
        let (low2, high2) = (_mm512_unpacklo_epi32(word(2), word(3)), _mm512_unpackhi_epi32(word(2), word(3)));
        // Quarter `q` of vector `v` holds words `at..at + 4` of block `4 q + v`.
        fours[at] = _mm512_unpacklo_epi64(low, low2);
        fours[at + 1] = _mm512_unpackhi_epi64(low, low2);
        fours[at + 2] = _mm512_unpacklo_epi64(high, high2);
        fours[at + 3] = _mm512_unpackhi_epi64(high, high2);
    }
    let mut blocks = [_mm512_setzero_si512(); 16];
    for v in 0..4 {
        let words = [fours[v], fours[4 + v], fours[8 + v], fours[12 + v]];
        [blocks[v], blocks[4 + v], blocks[8 + v], blocks[12 + v]] = quarters(words);
    }
    blocks
}

#[target_feature(enable = "avx512f,avx512vl")]
#[inline]
fn blocks_of_8(x: [__m256i; 16], before: [__m256i; 16]) -> [__m512i; 8] {
    let mut fours = [_mm256_setzero_si256(); 16];
    for at in (0..16).step_by(4) {
        let word = |more: usize| _mm256_add_epi32(x[at + more], before[at + more]);
        let (low, high) = (_mm256_unpacklo_epi32(word(0), word(1)), _mm256_unpackhi_epi32(word(0), word(1)));
        let (low2, high2) = (_mm256_unpacklo_epi32(word(2), word(3)), _mm256_unpackhi_epi32(word(2), word(3)));
        fours[at] = _mm256_unpacklo_epi64(low, low2);
        fours[at + 1] = _mm256_unpackhi_epi64(low, low2);
        fours[at + 2] = _mm256_unpacklo_epi64(high, high2);
        fours[at + 3] = _mm256_unpackhi_epi64(high, high2);
    }
    let mut blocks = [_mm512_setzero_si512(); 8];
    let whole = |low, high| _mm512_inserti64x4::<1>(_mm512_castsi256_si512(low), high);
    for v in 0..4 {
        let [a, b, c, d] = [fours[v], fours[4 + v], fours[8 + v], fours[12 + v]];
        let (ab0, cd0) = (_mm256_permute2x128_si256::<0x20>(a, b), _mm256_permute2x128_si256::<0x20>(c, d));
        let (ab1, cd1) = (_mm256_permute2x128_si256::<0x31>(a, b), _mm256_permute2x128_si256::<0x31>(c, d));
        blocks[v] = whole(ab0, cd0);
        blocks[4 + v] = whole(ab1, cd1);
    }
    blocks
}

/// Changes `text` by as much of the stream as it is long; `stream` is at least as long.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
pub(super) fn xor(text: &mut [u8], stream: &[__m512i]) {
    debug_assert!(text.len() <= stream.len() * BLOCK, "the stream is shorter than the text");
    let (whole, rest) = text.as_chunks_mut::<BLOCK>();
    for (text, block) in whole.iter_mut().zip(stream) {
        store(text, _mm512_xor_si512(load(text), *block));
    }
    if !rest.is_empty() {
        let mask = (1 << rest.len()) - 1;
        // SAFETY: only the bytes of the mask, which are the text's, are touched.
        unsafe {
            let before = _mm512_maskz_loadu_epi8(mask, rest.as_ptr().cast());
            _mm512_mask_storeu_epi8(rest.as_mut_ptr().cast(), mask, _mm512_xor_si512(before, stream[whole.len()]));
        }
    }
}

/// The same for 16 blocks, out of registers.
#[target_feature(enable = "avx512f")]
#[inline]
fn xor_whole(text: &mut [u8; 16 * BLOCK], stream: &[__m512i; 16]) {
    let (blocks, _) = text.as_chunks_mut::<BLOCK>();
    for at in 0..16 {
        let changed = _mm512_xor_si512(load(&blocks[at]), stream[at]);
        store(&mut blocks[at], changed);
    }
}

/// The same for parts of texts, a block each, as long as there are parts.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn xor_each<'a>(parts: &mut impl Iterator<Item = &'a mut [u8]>, stream: &[__m512i]) {
    for (block, part) in stream.iter().zip(parts) {
        xor(part, std::slice::from_ref(block));
    }
}
