//! Poly1305 (RFC 8439 §2.5) in words of 64 bits, a block at a time.

use super::super::transport_key::TAG;

/// Bytes of a block.
pub(super) const BLOCK: usize = 16;

/// A hash that goes on. Its fields are in the places where the assembly finds them.
#[repr(C)]
#[derive(Default)]
pub(super) struct Poly1305 {
    /// The first half of the one-time key, clamped.
    pub(super) r: [u64; 2],
    /// 5/4 of the high word of r, a multiple of four: what leaves above 2^130 comes back five times.
    pub(super) s: u64,
    /// The sum so far, below 2^131.
    pub(super) h: [u64; 3],
    /// The second half, which is added at the end.
    pad: [u64; 2],
}

impl Poly1305 {
    pub(super) fn new([r0, r1, pad0, pad1]: [u64; 4]) -> Self {
        let r = [r0 & 0x0fff_fffc_0fff_ffff, r1 & 0x0fff_fffc_0fff_fffc];
        Self { r, s: r[1] + (r[1] >> 2), h: [0; 3], pad: [pad0, pad1] }
    }

    /// Takes a block, little endian.
    #[target_feature(enable = "avx2,bmi2")]
    #[inline]
    pub(super) fn block(&mut self, block: u128) {
        let ([r0, r1], s) = (self.r.map(u128::from), u128::from(self.s));
        let [h0, h1, h2] = self.h;
        let (low, carry) = (u128::from(h1) << 64 | u128::from(h0)).overflowing_add(block);
        let (h0, h1, h2) = (low & u128::from(u64::MAX), low >> 64, u128::from(h2 + u64::from(carry) + 1));
        // No sum overflows: r and s are below 2^60 and 2^61, h2 is at most 6.
        let d0 = h0 * r0 + h1 * s;
        let d1 = h0 * r1 + h1 * r0 + h2 * s + (d0 >> 64);
        let d2 = (h2 * r0 + (d1 >> 64)) as u64;
        let (low, carry) =
            ((d1 << 64) | (d0 & u128::from(u64::MAX))).overflowing_add(u128::from((d2 & !3) + (d2 >> 2)));
        self.h = [low as u64, (low >> 64) as u64, (d2 & 3) + u64::from(carry)];
    }

    /// Takes whole blocks.
    #[target_feature(enable = "avx2,bmi2")]
    #[inline]
    pub(super) fn blocks(&mut self, text: &[u8]) {
        let (blocks, _) = text.as_chunks();
        for block in blocks {
            self.block(u128::from_le_bytes(*block));
        }
    }

    /// The tag, once all blocks were taken.
    pub(super) fn tag(&self) -> [u8; TAG] {
        // Less 2^130 - 5 if it is that much, told without a branch.
        let [h0, h1, h2] = self.h;
        let low = u128::from(h1) << 64 | u128::from(h0);
        let (reduced, carry) = low.overflowing_add(5);
        let is_more = (h2 + u64::from(carry)) >> 2 & 1;
        let mask = u128::from(is_more).wrapping_neg();
        let pad = u128::from(self.pad[1]) << 64 | u128::from(self.pad[0]);
        ((low & !mask) | (reduced & mask)).wrapping_add(pad).to_le_bytes()
    }
}

/// Blocks that are hashed last of each text.
pub(super) const END: usize = 3;

/// Where [`end`] begins in a text of `length` bytes, of more than a block.
pub(super) fn end_of(length: usize) -> usize {
    (length.div_ceil(BLOCK) + 1).checked_sub(END).expect("texts of more than a block") * BLOCK
}

/// The last blocks of what is hashed of a text of `length` bytes without additional data (RFC 8439 §2.8): its last two, of
/// which what is beyond the text does not count, and one that says how long it is.
pub(super) fn end(last: &[u8; (END - 1) * BLOCK], length: usize) -> [u8; END * BLOCK] {
    let beyond = length.wrapping_neg() % BLOCK * 8;
    let mut end = [0; END * BLOCK];
    let (blocks, _) = end.as_chunks_mut();
    let (last, _) = last.as_chunks();
    blocks[0] = last[0];
    blocks[1] = (u128::from_le_bytes(last[1]) << beyond >> beyond).to_le_bytes();
    blocks[2] = (u128::from(length as u64) << 64).to_le_bytes();
    end
}
