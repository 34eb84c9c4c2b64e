//! The two MACs of handshake messages and the cookies that the second is made of (WireGuard paper §5.4.4, §5.4.7).

use std::time::{Duration, Instant};

use blake2::digest::consts::U16;
use blake2::digest::{FixedOutput, Mac};
use blake2::{Blake2s256, Blake2sMac, Digest};
use chacha20poly1305::aead::{AeadInPlace, KeyInit};
use chacha20poly1305::{Tag, XChaCha20Poly1305, XNonce};
use servos_mesh::PublicKey;
use subtle::ConstantTimeEq;

use super::message::COOKIE;

/// Bytes of a MAC, and of a cookie.
pub(super) const MAC: usize = 16;

/// A cookie is used for so long: its secret lives two minutes, and the way there takes some time (§5.4.4).
const COOKIE_USED: Duration = Duration::from_secs(115);

/// Keys that follow from the public key of who receives handshake messages.
#[derive(Clone)]
pub(super) struct MacKeys {
    mac1: [u8; 32],
    cookie: [u8; 32],
}

impl MacKeys {
    pub(super) fn of(receiver: &PublicKey) -> Self {
        let hash = |label: &[u8]| Blake2s256::new().chain_update(label).chain_update(receiver.as_bytes()).finalize();
        Self { mac1: hash(b"mac1----").into(), cookie: hash(b"cookie--").into() }
    }

    /// Whether the first MAC of a handshake message is right.
    pub(super) fn is_mac1_right(&self, message: &[u8]) -> bool {
        let Some((body, macs)) = message.split_last_chunk::<{ 2 * MAC }>() else { return false };
        bool::from(mac(&self.mac1, &[body]).ct_eq(&macs[..MAC]))
    }

    /// Writes a cookie reply to `message` into `room`.
    pub(super) fn seal_cookie(&self, cookie: &[u8; MAC], message: &[u8], room: &mut [u8; COOKIE]) -> Option<()> {
        let (_, macs) = message.split_last_chunk::<{ 2 * MAC }>()?;
        let nonce: [u8; 24] = rand::random();
        room[..4].copy_from_slice(&3_u32.to_le_bytes());
        // Its receiver is the sender of the message.
        room[4..8].copy_from_slice(message.get(4..8)?);
        room[8..32].copy_from_slice(&nonce);
        room[32..48].copy_from_slice(cookie);
        let cipher = XChaCha20Poly1305::new((&self.cookie).into());
        let tag = cipher.encrypt_in_place_detached(XNonce::from_slice(&nonce), &macs[..MAC], &mut room[32..48]).ok()?;
        room[48..].copy_from_slice(&tag);
        Some(())
    }

    fn open_cookie(&self, reply: &[u8; COOKIE], mac1: &[u8; MAC]) -> Option<[u8; MAC]> {
        let mut cookie: [u8; MAC] = reply[32..48].try_into().ok()?;
        let cipher = XChaCha20Poly1305::new((&self.cookie).into());
        let tag = Tag::from_slice(&reply[48..]);
        cipher.decrypt_in_place_detached(XNonce::from_slice(&reply[8..32]), mac1, &mut cookie, tag).ok()?;
        Some(cookie)
    }
}

/// Whether a handshake message has no second MAC: zeros stand in its place (§5.4.4).
pub(super) fn lacks_mac2(message: &[u8]) -> bool {
    message.ends_with(&[0; MAC])
}

/// Whether the second MAC of a handshake message is right for a cookie.
pub(super) fn is_mac2_right(cookie: &[u8; MAC], message: &[u8]) -> bool {
    let Some((body, mac2)) = message.split_last_chunk::<MAC>() else { return false };
    bool::from(mac(cookie, &[body]).ct_eq(mac2))
}

/// The keyed hash that MACs and cookies are.
pub(super) fn mac(key: &[u8], parts: &[&[u8]]) -> [u8; MAC] {
    let mut mac = <Blake2sMac<U16> as Mac>::new_from_slice(key).expect("BLAKE2s takes keys of up to 32 bytes");
    for part in parts {
        Mac::update(&mut mac, part);
    }
    mac.finalize_fixed().into()
}

/// What MACs to a peer are made of.
pub(crate) struct PeerMacs {
    keys: MacKeys,
    /// The peer's latest cookie, and since when.
    cookie: Option<([u8; MAC], Instant)>,
    /// Of the message that was sent last: a cookie is bound to it.
    last_mac1: [u8; MAC],
}

impl PeerMacs {
    pub(crate) fn new(peer: &PublicKey) -> Self {
        Self { keys: MacKeys::of(peer), cookie: None, last_mac1: [0; MAC] }
    }

    /// Writes both MACs, the last 32 bytes of a handshake message; the second is zeros without a fresh cookie.
    pub(crate) fn stamp(&mut self, now: Instant, message: &mut [u8]) {
        let Some(body) = message.len().checked_sub(2 * MAC) else { return };
        let mac1 = mac(&self.keys.mac1, &[&message[..body]]);
        self.last_mac1 = mac1;
        message[body..body + MAC].copy_from_slice(&mac1);
        let fresh = self.cookie.filter(|(_, since)| now.saturating_duration_since(*since) < COOKIE_USED);
        let mac2 = fresh.map_or([0; MAC], |(cookie, _)| mac(&cookie, &[&message[..body + MAC]]));
        message[body + MAC..].copy_from_slice(&mac2);
    }

    /// Takes a cookie reply to the message that was stamped last. Whether it was one.
    pub(crate) fn take_cookie(&mut self, now: Instant, reply: &[u8; COOKIE]) -> bool {
        let cookie = self.keys.open_cookie(reply, &self.last_mac1);
        if let Some(cookie) = cookie {
            self.cookie = Some((cookie, now));
        }
        cookie.is_some()
    }
}
