//! Sealing alone: what ChaCha20-Poly1305 costs on full packets, the floor below every device.

use anyhow::{Result, anyhow};
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, Nonce, UnboundKey};

use crate::bench::process::cpu_seconds;

/// Bytes of a full packet.
const PACKET: usize = 1_420;

/// Packets between two looks at the clock.
const BATCH: u64 = 100_000;

/// Core-seconds a Gbit of packets of 1,420 bytes, sealed by `ring` over at least `seconds` of CPU time.
///
/// The figures that it is held against are of TCP payload, of which such a packet carries 1,368 bytes: 4 % less.
pub(super) fn measure(seconds: f64) -> Result<f64> {
    let failed = |_| anyhow!("ring cannot seal");
    let key = LessSafeKey::new(UnboundKey::new(&CHACHA20_POLY1305, &[7; 32]).map_err(failed)?);
    let mut packet = [0; PACKET];
    let own = std::process::id();
    let began = cpu_seconds(own)?;
    let mut sealed = 0_u64;
    loop {
        for counter in sealed..sealed + BATCH {
            let mut nonce = [0; 12];
            nonce[4..].copy_from_slice(&counter.to_le_bytes());
            let nonce = Nonce::assume_unique_for_key(nonce);
            let tag = key.seal_in_place_separate_tag(nonce, Aad::empty(), &mut packet).map_err(failed)?;
            std::hint::black_box(tag.as_ref());
        }
        sealed += BATCH;
        let spent = cpu_seconds(own)? - began;
        if spent >= seconds {
            return Ok(spent / (sealed as f64 * PACKET as f64 * 8.0 / 1e9));
        }
    }
}
