//! Poly1305 (RFC 8439 §2.5), eight blocks side by side: numbers of 130 bits in limbs of 44, 44 and 42, which the 52-bit
//! multiplication takes before their carries are settled.

use std::arch::x86_64::*;

use subtle::{Choice, ConditionallySelectable as _};

use super::{load, quarters};

/// Bytes of a block, and of a group of eight.
const BLOCK: usize = 16;
const GROUP: usize = 8 * BLOCK;

/// Bytes of four blocks: a vector of one text.
const FOUR: usize = 4 * BLOCK;

/// The bits of r that are used, its lower word first (RFC 8439 §2.5).
const CLAMP: [u64; 2] = [0x0fff_fffc_0fff_ffff, 0x0fff_fffc_0fff_fffc];

const MASK_44: u64 = (1 << 44) - 1;
const MASK_42: u64 = (1 << 42) - 1;

/// The bit above a block of 16 bytes: 2^128, in the third limb.
const ABOVE: i64 = 1 << 40;

/// Which block of a group each lane holds, as [`group`] leaves them.
const BLOCK_OF_LANE: [usize; 8] = [0, 4, 1, 5, 2, 6, 3, 7];

/// The lanes whose block is in the lower half of each `of` blocks.
const fn lower_half(of: usize) -> u8 {
    let (mut mask, mut lane) = (0, 0);
    while lane < 8 {
        if BLOCK_OF_LANE[lane] % of < of / 2 {
            mask |= 1 << lane;
        }
        lane += 1;
    }
    mask
}

/// The lanes that hold the last so many blocks of a group.
const LAST_LANES: [u8; 9] = {
    let mut masks = [0; 9];
    let mut lane = 0;
    while lane < 8 {
        let mut count = 8 - BLOCK_OF_LANE[lane];
        while count <= 8 {
            masks[count] |= 1 << lane;
            count += 1;
        }
        lane += 1;
    }
    masks
};

/// A number in each lane.
type Numbers = [__m512i; 3];

/// The tag of the construction over `text` alone, no additional data (RFC 8439 §2.8): the text, padded with zeros to
/// whole blocks, and both lengths. `key` is r and s, one time's; the text has 128 bytes or more.
#[target_feature(enable = "avx512f,avx512vl,avx512ifma")]
pub(super) fn tag(key: [u64; 4], text: &[u8]) -> [u8; 16] {
    let (low, high) = (key[0] & CLAMP[0], key[1] & CLAMP[1]);
    let r = [low & MASK_44, (low >> 44 | high << 20) & MASK_44, high >> 24];
    let blocks = text.len().div_ceil(BLOCK) + 1;
    let [r0, r1, r2] = r.map(u64::cast_signed);
    let total = sum([_mm512_set1_epi64(r0), _mm512_set1_epi64(r1), _mm512_set1_epi64(r2)], text, blocks);
    let tag = reduced(total).wrapping_add(u128::from(key[2]) | u128::from(key[3]) << 64);
    tag.to_le_bytes()
}

/// A factor, and twenty times its upper limbs: what is beyond 2^132 comes back as 5 · 2^2.
#[derive(Clone, Copy)]
struct Factor {
    limbs: Numbers,
    folded: [__m512i; 2],
}

impl Factor {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn of(limbs: Numbers) -> Self {
        let twenty = |limb| _mm512_add_epi64(_mm512_slli_epi64::<4>(limb), _mm512_slli_epi64::<2>(limb));
        Self { limbs, folded: [twenty(limbs[1]), twenty(limbs[2])] }
    }
}

/// Sums of products, before carries: the lower 52 bits of each product, and the others, for each limb.
struct Products {
    low: Numbers,
    high: Numbers,
}

impl Products {
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn none() -> Self {
        let zero = [_mm512_setzero_si512(); 3];
        Self { low: zero, high: zero }
    }

    /// Adds `number · factor`. Two at most fit: limbs of the number have up to 45 bits, of the factor 44 (48 where
    /// folded), so that the lower sums stay below 2^55 and the upper below 2^42.
    #[target_feature(enable = "avx512f,avx512ifma")]
    #[inline]
    fn and(self, number: Numbers, factor: &Factor) -> Self {
        let [r0, r1, r2] = factor.limbs;
        let [f1, f2] = factor.folded;
        let sum = |mut low, mut high, by: [__m512i; 3]| {
            for at in [2, 1, 0] {
                low = _mm512_madd52lo_epu64(low, number[at], by[at]);
                high = _mm512_madd52hi_epu64(high, number[at], by[at]);
            }
            (low, high)
        };
        let (low, high) = (self.low, self.high);
        let (low0, high0) = sum(low[0], high[0], [r0, f2, f1]);
        let (low1, high1) = sum(low[1], high[1], [r1, r0, f2]);
        let (low2, high2) = sum(low[2], high[2], [r2, r1, r0]);
        Self { low: [low0, low1, low2], high: [high0, high1, high2] }
    }

    /// Settles the carries, but for a few bits of the second limb.
    #[target_feature(enable = "avx512f")]
    #[inline]
    fn settle(self) -> Numbers {
        let (mask_44, mask_42) = (_mm512_set1_epi64(MASK_44.cast_signed()), _mm512_set1_epi64(MASK_42.cast_signed()));
        let ([low0, low1, low2], [high0, high1, high2]) = (self.low, self.high);
        let carry = _mm512_add_epi64(_mm512_srli_epi64::<44>(low0), _mm512_slli_epi64::<8>(high0));
        let low1 = _mm512_add_epi64(low1, carry);
        let carry = _mm512_add_epi64(_mm512_srli_epi64::<44>(low1), _mm512_slli_epi64::<8>(high1));
        let low2 = _mm512_add_epi64(low2, carry);
        let carry = _mm512_add_epi64(_mm512_srli_epi64::<42>(low2), _mm512_slli_epi64::<10>(high2));
        let five = _mm512_add_epi64(carry, _mm512_slli_epi64::<2>(carry));
        let first = _mm512_add_epi64(_mm512_and_si512(low0, mask_44), five);
        let second = _mm512_add_epi64(_mm512_and_si512(low1, mask_44), _mm512_srli_epi64::<44>(first));
        [_mm512_and_si512(first, mask_44), second, _mm512_and_si512(low2, mask_42)]
    }
}

#[target_feature(enable = "avx512f,avx512ifma")]
#[inline]
fn times(number: Numbers, factor: &Factor) -> Numbers {
    Products::none().and(number, factor).settle()
}

#[target_feature(enable = "avx512f")]
#[inline]
fn plus(one: Numbers, other: Numbers) -> Numbers {
    [_mm512_add_epi64(one[0], other[0]), _mm512_add_epi64(one[1], other[1]), _mm512_add_epi64(one[2], other[2])]
}

/// `one` where the mask has 0, `other` where it has 1.
#[target_feature(enable = "avx512f")]
#[inline]
fn either(mask: u8, one: Numbers, other: Numbers) -> Numbers {
    let limb = |at: usize| _mm512_mask_blend_epi64(mask, one[at], other[at]);
    [limb(0), limb(1), limb(2)]
}

/// The tags of eight texts of one length, as [`tag`] makes them; `keys` are four words, a lane a text.
#[target_feature(enable = "avx512f,avx512bw,avx512vl,avx512ifma")]
pub(super) fn tags_of_eight(keys: &[__m512i; 4], texts: &[&[u8]; 8]) -> [[u8; 16]; 8] {
    let length = texts[0].len();
    assert!(texts.iter().all(|text| text.len() == length), "the texts are not of one length");
    let low = _mm512_and_si512(keys[0], _mm512_set1_epi64(CLAMP[0].cast_signed()));
    let high = _mm512_and_si512(keys[1], _mm512_set1_epi64(CLAMP[1].cast_signed()));
    let r1 = Factor::of(numbers(low, high, _mm512_setzero_si512()));
    let r2 = Factor::of(times(r1.limbs, &r1));
    let above = _mm512_set1_epi64(ABOVE);
    let mut total = [_mm512_setzero_si512(); 3];
    for at in (0..length - length % FOUR).step_by(FOUR) {
        let [first, second, third, fourth] = blocks_of(texts, at, FOUR);
        for (one, other) in [(first, second), (third, fourth)] {
            let (one, other) = (numbers(one.0, one.1, above), numbers(other.0, other.1, above));
            total = Products::none().and(other, &r1).and(plus(total, one), &r2).settle();
        }
    }
    let rest = length % FOUR;
    if rest > 0 {
        let blocks = blocks_of(texts, length - rest, rest);
        for (low, high) in blocks.into_iter().take(rest.div_ceil(BLOCK)) {
            total = times(plus(total, numbers(low, high, above)), &r1);
        }
    }
    let lengths = numbers(_mm512_setzero_si512(), _mm512_set1_epi64(length as i64), above);
    let total = times(plus(total, lengths), &r1);
    let lanes = |vector: __m512i| {
        let mut lanes = [0_u64; 8];
        // SAFETY: they are as long as a vector.
        unsafe { _mm512_storeu_si512(lanes.as_mut_ptr().cast(), vector) };
        lanes
    };
    let (limbs, low, high) = (total.map(lanes), lanes(keys[2]), lanes(keys[3]));
    std::array::from_fn(|at| {
        let mask = u128::from(low[at]) | u128::from(high[at]) << 64;
        reduced([limbs[0][at], limbs[1][at], limbs[2][at]]).wrapping_add(mask).to_le_bytes()
    })
}

/// Four blocks of each of eight texts, of the 1 to 64 bytes from `at` on, then zeros: lower and upper halves, a lane a
/// text.
#[target_feature(enable = "avx512f,avx512bw")]
#[inline]
fn blocks_of(texts: &[&[u8]; 8], at: usize, length: usize) -> [(__m512i, __m512i); 4] {
    let mut rows = [_mm512_setzero_si512(); 8];
    for (row, text) in rows.iter_mut().zip(texts) {
        let bytes = &text[at..at + length];
        // SAFETY: only the bytes of the mask are read, which are these.
        *row = unsafe { _mm512_maskz_loadu_epi8(u64::MAX >> (FOUR - bytes.len()), bytes.as_ptr().cast()) };
    }
    let low = |at: usize| _mm512_unpacklo_epi64(rows[at], rows[at + 1]);
    let high = |at: usize| _mm512_unpackhi_epi64(rows[at], rows[at + 1]);
    let (low, high) = (quarters([low(0), low(2), low(4), low(6)]), quarters([high(0), high(2), high(4), high(6)]));
    [(low[0], high[0]), (low[1], high[1]), (low[2], high[2]), (low[3], high[3])]
}

/// The polynomial of the text at r: limbs, carries not settled.
#[target_feature(enable = "avx512f,avx512vl,avx512ifma")]
fn sum(r: Numbers, text: &[u8], blocks: usize) -> [u64; 3] {
    let r1 = Factor::of(r);
    let r2 = Factor::of(times(r, &r1));
    let r4 = Factor::of(times(r2.limbs, &r2));
    let r8 = Factor::of(times(r4.limbs, &r4));
    let r16 = Factor::of(times(r8.limbs, &r8));
    // Each block of a group has its power: the first r^8, the last r.
    let of_two = either(const { lower_half(2) }, r1.limbs, r2.limbs);
    let of_four = either(const { lower_half(4) }, of_two, times(of_two, &r2));
    let of_eight = either(const { lower_half(8) }, of_four, times(of_four, &r4));

    // The first group may have fewer blocks, at its end: what is before them is zero.
    let first = (blocks - 1) % 8 + 1;
    let (head, rest) = text.split_at(first * BLOCK);
    let mut bytes = [0; GROUP];
    bytes[GROUP - head.len()..].copy_from_slice(head);
    let mut total = group(&bytes, _mm512_maskz_set1_epi64(LAST_LANES[first], ABOVE));
    let (groups, rest) = rest.as_chunks::<GROUP>();
    // The last: up to 7 blocks, and the lengths.
    let mut bytes = [0; GROUP];
    bytes[..rest.len()].copy_from_slice(rest);
    bytes[GROUP - 8..].copy_from_slice(&(text.len() as u64).to_le_bytes());
    let above = _mm512_set1_epi64(ABOVE);
    let last = group(&bytes, above);

    let (pairs, lone) = groups.as_chunks::<2>();
    for [one, other] in pairs {
        let products = Products::none().and(group(one, above), &r8).and(total, &r16);
        total = plus(products.settle(), group(other, above));
    }
    total = match lone {
        [one] => Products::none().and(group(one, above), &r8).and(total, &r16).settle(),
        _ => times(total, &r8),
    };
    let total = times(plus(total, last), &Factor::of(of_eight));
    let limb = |at: usize| _mm512_reduce_add_epi64(total[at]).cast_unsigned();
    [limb(0), limb(1), limb(2)]
}

/// A group of blocks as numbers; `above` is the bit above each.
#[target_feature(enable = "avx512f")]
#[inline]
fn group(bytes: &[u8; GROUP], above: __m512i) -> Numbers {
    let (halves, _) = bytes.as_chunks::<64>();
    let (one, other) = (load(&halves[0]), load(&halves[1]));
    let (low, high) = (_mm512_unpacklo_epi64(one, other), _mm512_unpackhi_epi64(one, other));
    numbers(low, high, above)
}

/// Blocks as numbers, of their halves.
#[target_feature(enable = "avx512f")]
#[inline]
fn numbers(low: __m512i, high: __m512i, above: __m512i) -> Numbers {
    let mask = _mm512_set1_epi64(MASK_44.cast_signed());
    let middle = _mm512_or_si512(_mm512_srli_epi64::<44>(low), _mm512_slli_epi64::<20>(high));
    [_mm512_and_si512(low, mask), _mm512_and_si512(middle, mask), _mm512_or_si512(_mm512_srli_epi64::<24>(high), above)]
}

/// The number modulo 2^130 - 5, its lower 128 bits.
fn reduced([mut low, mut middle, mut high]: [u64; 3]) -> u128 {
    for _ in 0..2 {
        middle += low >> 44;
        high += middle >> 44;
        low = (low & MASK_44) + (high >> 42) * 5;
        middle &= MASK_44;
        high &= MASK_42;
    }
    middle += low >> 44;
    low &= MASK_44;
    high += middle >> 44;
    middle &= MASK_44;
    // Less the modulus, unless that is below zero; without a branch.
    let less_low = low + 5;
    let less_middle = middle + (less_low >> 44);
    let less_high = (high + (less_middle >> 44)).wrapping_sub(1 << 42);
    let is_below = Choice::from((less_high >> 63) as u8);
    let select = |kept: u64, less: u64| u128::from(u64::conditional_select(&less, &kept, is_below));
    select(low, less_low & MASK_44) | select(middle, less_middle & MASK_44) << 44 | select(high, less_high) << 88
}

#[cfg(test)]
mod tests {
    use poly1305::Poly1305;
    use poly1305::universal_hash::{KeyInit as _, UniversalHash as _};
    use proptest::prelude::*;

    use super::*;
    use crate::noise::wide::Wide;

    /// What the library makes of the same.
    fn theirs(key: [u64; 4], text: &[u8]) -> [u8; 16] {
        let bytes: Vec<u8> = key.iter().flat_map(|word| word.to_le_bytes()).collect();
        let mut poly = Poly1305::new(poly1305::Key::from_slice(&bytes));
        poly.update_padded(text);
        let lengths = u128::from(text.len() as u64) << 64;
        poly.update_padded(&lengths.to_le_bytes());
        poly.finalize().into()
    }

    fn ours(key: [u64; 4], text: &[u8]) -> Option<[u8; 16]> {
        Wide::of_this_machine()?;
        // SAFETY: the machine has the instructions.
        let (alone, eight) = unsafe {
            let keys = key.map(|word| _mm512_set1_epi64(word.cast_signed()));
            (tag(key, text), tags_of_eight(&keys, &[text; 8]))
        };
        assert_eq!(eight, [alone; 8], "{} bytes", text.len());
        Some(alone)
    }

    /// Words with long rows of ones and zeros, where carries go far.
    fn word() -> impl Strategy<Value = u64> {
        prop_oneof![Just(0), Just(u64::MAX), any::<u64>(), (0..64).prop_map(|bits| u64::MAX << bits)]
    }

    proptest! {
        #[test]
        fn it_is_what_another_library_makes(
            key in [word(), word(), word(), word()],
            words in prop::collection::vec(word(), 16..200),
            more in 0_usize..8,
        ) {
            let bytes: Vec<u8> = words.iter().flat_map(|word| word.to_le_bytes()).collect();
            let text = &bytes[..(bytes.len() - more).max(GROUP)];
            if let Some(ours) = ours(key, text) {
                prop_assert_eq!(ours, theirs(key, text));
            }
        }
    }

    #[test]
    fn of_every_length_with_all_bits_set() {
        let (key, text) = ([u64::MAX; 4], [0xff; 1_600]);
        for length in GROUP..=text.len() {
            if let Some(ours) = ours(key, &text[..length]) {
                assert_eq!(ours, theirs(key, &text[..length]), "{length} bytes");
            }
        }
    }

    #[test]
    fn what_is_beyond_the_modulus_comes_back() {
        // 2^130 - 5, and 2^130, in limbs.
        let modulus = [MASK_44 - 4, MASK_44, MASK_42];
        assert_eq!(reduced(modulus), 0);
        assert_eq!(reduced([modulus[0] - 1, modulus[1], modulus[2]]), 0_u128.wrapping_sub(6));
        assert_eq!(reduced([modulus[0] + 1, modulus[1], modulus[2]]), 1);
        assert_eq!(reduced([0, 0, 1 << 42]), 5);
        assert_eq!(reduced([MASK_44, MASK_44, MASK_42]), 4);
        // Carries not settled: eight of the modulus, and three.
        assert_eq!(reduced([modulus[0] * 8 + 3, modulus[1] * 8, modulus[2] * 8]), 3);
    }
}
