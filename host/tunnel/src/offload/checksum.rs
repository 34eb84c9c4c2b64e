//! The Internet checksum (RFC 1071).

use multiversion::multiversion;

/// Sums 16-bit words in network order, on top of `initial`; folded to 16 bits, not complemented. An odd last byte counts
/// as the high half of a word.
pub(super) fn sum(bytes: &[u8], initial: u64) -> u16 {
    // A head is not worth the choice of vectors.
    let total = if bytes.len() <= HEAD { short_total(bytes) } else { total(bytes) };
    fold(u64::from(u16::from_be(fold(total))) + initial)
}

/// Bytes of the longest head of TCP, and of less.
const HEAD: usize = 60;

/// The sum does not depend on the machine's order of bytes but for a swap at the end (RFC 1071 §2.B). Eight lanes of
/// 32 bits in 64 cannot overflow, and become vector instructions.
#[multiversion(targets("x86_64+avx2"))]
fn total(bytes: &[u8]) -> u64 {
    let mut lanes = [0_u64; 8];
    let (blocks, rest) = bytes.as_chunks::<32>();
    for block in blocks {
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    lanes.iter().sum::<u64>() + short_total(rest)
}

#[inline(always)]
fn short_total(bytes: &[u8]) -> u64 {
    let (words, rest) = bytes.as_chunks::<4>();
    let mut total: u64 = words.iter().map(|word| u64::from(u32::from_ne_bytes(*word))).sum();
    let (pairs, last) = rest.as_chunks::<2>();
    total += pairs.iter().map(|pair| u64::from(u16::from_ne_bytes(*pair))).sum::<u64>();
    total + last.iter().map(|last| u64::from(u16::from_ne_bytes([*last, 0]))).sum::<u64>()
}

/// Copies `from` to `to`, as long, and sums it as [`sum`] does: looked at once.
pub(super) fn copy_and_sum(from: &[u8], to: &mut [u8]) -> u16 {
    u16::from_be(fold(copy_and_total(from, to)))
}

#[multiversion(targets("x86_64+avx2"))]
fn copy_and_total(from: &[u8], to: &mut [u8]) -> u64 {
    let mut lanes = [0_u64; 8];
    let (blocks, rest) = from.as_chunks::<32>();
    let (to_blocks, to_rest) = to.as_chunks_mut::<32>();
    for (block, to) in blocks.iter().zip(to_blocks) {
        *to = *block;
        for (lane, word) in lanes.iter_mut().zip(block.as_chunks::<4>().0) {
            *lane += u64::from(u32::from_ne_bytes(*word));
        }
    }
    to_rest.copy_from_slice(rest);
    lanes.iter().sum::<u64>() + short_total(rest)
}

/// The sum over the pseudo-header (RFC 9293 §3.1, RFC 8200 §8.1): addresses, protocol, length of head and payload.
pub(super) fn pseudo_header(addresses: &[u8], protocol: u8, length: usize) -> u64 {
    u64::from(sum(addresses, 0)) + u64::from(protocol) + length as u64
}

pub(super) fn fold(mut total: u64) -> u16 {
    while total > 0xffff {
        total = (total & 0xffff) + (total >> 16);
    }
    total as u16
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// Word by word, as the RFC has it.
    fn plain(bytes: &[u8], initial: u64) -> u16 {
        let words = bytes.chunks(2).map(|pair| u64::from(pair[0]) << 8 | u64::from(*pair.get(1).unwrap_or(&0)));
        fold(words.sum::<u64>() + initial)
    }

    proptest! {
        #[test]
        fn agrees_with_the_plain_sum(bytes in prop::collection::vec(any::<u8>(), 0..3_000), initial in 0_u64..1 << 20) {
            // All ones and all zeros are the same sum.
            prop_assert_eq!(sum(&bytes, initial) % 0xffff, plain(&bytes, initial) % 0xffff);
            let mut copy = vec![0; bytes.len()];
            prop_assert_eq!(copy_and_sum(&bytes, &mut copy), sum(&bytes, 0));
            prop_assert_eq!(copy, bytes);
        }
    }

    #[test]
    fn the_example_of_the_rfc() {
        assert_eq!(sum(&[0x00, 0x01, 0xf2, 0x03, 0xf4, 0xf5, 0xf6, 0xf7], 0), 0xddf2);
        assert_eq!(sum(&[0xff; 65_535], 0), plain(&[0xff; 65_535], 0));
    }
}
