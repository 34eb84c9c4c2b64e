//! What ChaCha20 begins with, for both of our own ciphers.

use zeroize::Zeroizing;

/// "expand 32-byte k" (RFC 8439 §2.3).
const CONSTANTS: [u32; 4] = [0x6170_7865, 0x3320_646e, 0x7962_2d32, 0x6b20_6574];

/// The state before the rounds: of the block with number `block`, with WireGuard's nonce (paper §5.4.6): 4 bytes of
/// zeros, the counter little endian.
pub(super) fn state(key: &[u8; 32], counter: u64, block: u32) -> Zeroizing<[u32; 16]> {
    let mut state = Zeroizing::new([0; 16]);
    state[..4].copy_from_slice(&CONSTANTS);
    for (word, bytes) in state[4..12].iter_mut().zip(key.chunks_exact(4)) {
        *word = u32::from_le_bytes([bytes[0], bytes[1], bytes[2], bytes[3]]);
    }
    state[12] = block;
    state[14] = counter as u32;
    state[15] = (counter >> 32) as u32;
    state
}
