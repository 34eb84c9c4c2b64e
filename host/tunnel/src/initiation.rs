//! Reads who sent a handshake initiation, and when, before a session is made for them.
//!
//! The library makes a session per known peer and keeps neither the timestamp of a dropped one nor a way to set it, so
//! the first half of its handshake is followed here (WireGuard paper §5.4.2): enough to authenticate the initiator's
//! key and timestamp. Nothing is answered and no session key is derived from it.

use blake2::digest::FixedOutput as _;
use blake2::{Blake2s256, Digest as _};
use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use hmac::{Mac as _, SimpleHmac};
use servos_mesh::PublicKey;
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

/// Bytes of an initiation, its two MACs included (§5.4.2).
pub(crate) const LENGTH: usize = 148;

/// Where the ephemeral key, the sealed static key, the sealed timestamp and the MACs begin.
const EPHEMERAL: usize = 8;
const STATIC: usize = 40;
const TIMESTAMP: usize = 88;
const MACS: usize = 116;

const CONSTRUCTION: &[u8] = b"Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s";
const IDENTIFIER: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";

/// An initiation whose sender's key has been read; not yet authenticated.
pub(crate) struct Claim {
    /// Who claims to have sent it.
    pub(crate) public_key: PublicKey,
    hash: [u8; 32],
    chaining_key: Zeroizing<[u8; 32]>,
}

/// Reads the initiator's key. `None` if it is not sealed for us.
pub(crate) fn read_key(own: &StaticSecret, message: &[u8; LENGTH]) -> Option<Claim> {
    let own_public = x25519_dalek::PublicKey::from(own);
    let ephemeral: [u8; 32] = message[EPHEMERAL..STATIC].try_into().ok()?;
    let mut chaining_key = hash(&[CONSTRUCTION]);
    let mut running = hash(&[&chaining_key, IDENTIFIER]);
    running = hash(&[&running, own_public.as_bytes()]);
    running = hash(&[&running, &ephemeral]);
    chaining_key = derive(&chaining_key, &ephemeral).0;
    let shared = own.diffie_hellman(&ephemeral.into());
    let (next, key) = derive(&chaining_key, shared.as_bytes());
    let sealed = &message[STATIC..TIMESTAMP];
    let mut public = [0; 32];
    open(&key, &running, sealed, &mut public)?;
    Some(Claim {
        public_key: PublicKey::from_bytes(public).ok()?,
        hash: hash(&[&running, sealed]),
        chaining_key: Zeroizing::new(next),
    })
}

/// Authenticates the claim and reads its TAI64N timestamp: 12 bytes that compare as they lie.
pub(crate) fn read_timestamp(own: &StaticSecret, message: &[u8; LENGTH], claim: &Claim) -> Option<[u8; 12]> {
    let shared = own.diffie_hellman(&(*claim.public_key.as_bytes()).into());
    let (_, key) = derive(claim.chaining_key.as_slice(), shared.as_bytes());
    let mut timestamp = [0; 12];
    open(&key, &claim.hash, &message[TIMESTAMP..MACS], &mut timestamp)?;
    Some(timestamp)
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hasher = Blake2s256::new();
    for part in parts {
        hasher.update(part);
    }
    hasher.finalize().into()
}

/// The paper's KDF with two outputs (§5.4).
fn derive(key: &[u8], input: &[u8]) -> ([u8; 32], Zeroizing<[u8; 32]>) {
    let extracted = hmac(key, &[input]);
    let first = hmac(&extracted, &[&[1]]);
    let second = hmac(&extracted, &[&first, &[2]]);
    (first, Zeroizing::new(second))
}

fn hmac(key: &[u8], parts: &[&[u8]]) -> [u8; 32] {
    let mut mac = <SimpleHmac<Blake2s256> as hmac::Mac>::new_from_slice(key).expect("HMAC takes keys of any length");
    for part in parts {
        mac.update(part);
    }
    mac.finalize_fixed().into()
}

/// Opens `sealed` (nonce zero) into `plain`, which is 16 bytes shorter.
fn open(key: &[u8; 32], associated: &[u8], sealed: &[u8], plain: &mut [u8]) -> Option<()> {
    let (text, tag) = sealed.split_at_checked(plain.len())?;
    plain.copy_from_slice(text);
    let tag: [u8; 16] = tag.try_into().ok()?;
    let cipher = ChaCha20Poly1305::new(key.into());
    cipher.decrypt_in_place_detached(&Nonce::default(), associated, plain, &Tag::from(tag)).ok()
}
