//! The handshake: Noise IKpsk2, from the Noise library, in WireGuard's messages (paper §5.4.1–5.4.3, without the MACs).

use std::sync::LazyLock;

use servos_mesh::PublicKey;
use snow::params::NoiseParams;
use snow::{Builder, HandshakeState};
use zeroize::Zeroizing;

use super::curve::Resolver;
use super::message::{INITIATION, RESPONSE, word};
use super::wiped::Wiped;
use crate::PrivateKey;

/// The pattern, and what both sides mix in first.
static PARAMS: LazyLock<NoiseParams> =
    LazyLock::new(|| "Noise_IKpsk2_25519_ChaChaPoly_BLAKE2s".parse().expect("a pattern of the library"));
const PROLOGUE: &[u8] = b"WireGuard v1 zx2c4 Jason@zx2c4.com";

/// Where the pre-shared key is mixed in: after the second message.
const PSK_LOCATION: u8 = 2;

/// Where the handshake's own bytes lie: after type and indices, before the MACs.
const INITIATION_NOISE: std::ops::Range<usize> = 8..INITIATION - 32;
const RESPONSE_NOISE: std::ops::Range<usize> = 12..RESPONSE - 32;

/// A TAI64N timestamp; compares as it lies.
pub(crate) type Tai64n = [u8; 12];

/// A pre-shared key; zeros where there is none.
pub(crate) type PresharedKey = [u8; 32];

/// What a handshake agreed on.
pub(crate) struct SessionKeys {
    pub(crate) sealing: Zeroizing<[u8; 32]>,
    pub(crate) opening: Zeroizing<[u8; 32]>,
    /// The peer's index of the keypair.
    pub(crate) peer_index: u32,
}

/// An initiation that we sent, waiting for its response.
pub(crate) struct Initiation {
    state: Wiped<HandshakeState>,
    /// Our index of the keypair to be.
    pub(crate) index: u32,
}

impl Initiation {
    /// Writes an initiation but for its MACs. `None` if the peer's key is of no use.
    pub(crate) fn write(
        own: &PrivateKey,
        peer: &PublicKey,
        preshared: &PresharedKey,
        index: u32,
        timestamp: Tai64n,
        message: &mut [u8; INITIATION],
    ) -> Option<Self> {
        let secret = Zeroizing::new(own.secret().to_bytes());
        let builder = Builder::with_resolver(PARAMS.clone(), Box::new(Resolver { own: own.public_key() }));
        let builder = builder.local_private_key(secret.as_slice()).ok()?;
        let builder = builder.remote_public_key(peer.as_bytes()).ok()?;
        let builder = builder.psk(PSK_LOCATION, preshared).ok()?.prologue(PROLOGUE).ok()?;
        let mut state = Wiped::new(builder.build_initiator().ok()?);
        message[..4].copy_from_slice(&1_u32.to_le_bytes());
        message[4..8].copy_from_slice(&index.to_le_bytes());
        let written = state.write_message(&timestamp, &mut message[INITIATION_NOISE]).ok()?;
        (written == INITIATION_NOISE.len()).then_some(Self { state, index })
    }

    /// Takes the response. After one that does not authenticate, the true one is still taken.
    pub(crate) fn finish(&mut self, response: &[u8; RESPONSE]) -> Option<SessionKeys> {
        let length = self.state.read_message(&response[RESPONSE_NOISE], &mut []).ok()?;
        if length != 0 || !self.state.is_handshake_finished() {
            return None;
        }
        let (sealing, opening) = self.state.dangerously_get_raw_split();
        let (sealing, opening) = (Zeroizing::new(sealing), Zeroizing::new(opening));
        Some(SessionKeys { sealing, opening, peer_index: word(response, 4)? })
    }
}

/// An initiation that we received, whose sender's key and timestamp are authentic; to be answered or dropped.
pub(crate) struct Received {
    state: Wiped<HandshakeState>,
    /// Who sent it.
    pub(crate) public_key: PublicKey,
    /// When.
    pub(crate) timestamp: Tai64n,
    peer_index: u32,
}

impl Received {
    /// Reads an initiation. Nothing is answered yet, and no session is needed. `None` if it does not authenticate.
    pub(crate) fn read(own: &PrivateKey, message: &[u8; INITIATION]) -> Option<Self> {
        let secret = Zeroizing::new(own.secret().to_bytes());
        let builder = Builder::with_resolver(PARAMS.clone(), Box::new(Resolver { own: own.public_key() }));
        let builder = builder.local_private_key(secret.as_slice()).ok()?.prologue(PROLOGUE).ok()?;
        // The peer's own is set when it is known who it is.
        let builder = builder.psk(PSK_LOCATION, &[0; 32]).ok()?;
        let mut state = Wiped::new(builder.build_responder().ok()?);
        let mut timestamp = [0; 12];
        let length = state.read_message(&message[INITIATION_NOISE], &mut timestamp).ok()?;
        let key: [u8; 32] = state.get_remote_static()?.try_into().ok()?;
        let public_key = PublicKey::from_bytes(key).ok()?;
        (length == timestamp.len()).then_some(())?;
        Some(Self { state, public_key, timestamp, peer_index: word(message, 4)? })
    }

    /// Writes the response but for its MACs.
    pub(crate) fn respond(
        mut self,
        preshared: &PresharedKey,
        index: u32,
        message: &mut [u8; RESPONSE],
    ) -> Option<SessionKeys> {
        self.state.set_psk(PSK_LOCATION.into(), preshared).ok()?;
        message[..4].copy_from_slice(&2_u32.to_le_bytes());
        message[4..8].copy_from_slice(&index.to_le_bytes());
        message[8..12].copy_from_slice(&self.peer_index.to_le_bytes());
        let written = self.state.write_message(&[], &mut message[RESPONSE_NOISE]).ok()?;
        if written != RESPONSE_NOISE.len() || !self.state.is_handshake_finished() {
            return None;
        }
        let (opening, sealing) = self.state.dangerously_get_raw_split();
        let (sealing, opening) = (Zeroizing::new(sealing), Zeroizing::new(opening));
        Some(SessionKeys { sealing, opening, peer_index: self.peer_index })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pair() -> (PrivateKey, PrivateKey) {
        (PrivateKey::generate(), PrivateKey::generate())
    }

    #[test]
    fn both_sides_agree_and_the_initiator_is_known() {
        let (alice, bob) = pair();
        let psk = [7; 32];
        let mut first = [0; INITIATION];
        let mut initiation =
            Initiation::write(&alice, &bob.public_key(), &psk, 0x0102, [9; 12], &mut first).expect("an initiation");
        let received = Received::read(&bob, &first).expect("an authentic initiation");
        assert_eq!(received.public_key, alice.public_key());
        assert_eq!(received.timestamp, [9; 12]);
        let mut second = [0; RESPONSE];
        let bobs = received.respond(&psk, 0x0304, &mut second).expect("a response");
        assert_eq!(bobs.peer_index, 0x0102);

        // One that does not authenticate changes nothing.
        let mut wrong = second;
        wrong[50] ^= 1;
        assert!(initiation.finish(&wrong).is_none());
        let alices = initiation.finish(&second).expect("the true response");
        assert_eq!(alices.peer_index, 0x0304);
        assert_eq!(*alices.sealing, *bobs.opening);
        assert_eq!(*alices.opening, *bobs.sealing);
        assert_ne!(*alices.opening, *alices.sealing);
    }

    #[test]
    fn another_pre_shared_key_is_refused() {
        let (alice, bob) = pair();
        let mut first = [0; INITIATION];
        let mut initiation =
            Initiation::write(&alice, &bob.public_key(), &[1; 32], 1, [0; 12], &mut first).expect("an initiation");
        let mut second = [0; RESPONSE];
        let received = Received::read(&bob, &first).expect("it is mixed in after this message");
        received.respond(&[2; 32], 2, &mut second).expect("a response");
        assert!(initiation.finish(&second).is_none());
    }

    #[test]
    fn a_changed_bit_anywhere_is_refused() {
        let (alice, bob) = pair();
        let mut first = [0; INITIATION];
        Initiation::write(&alice, &bob.public_key(), &[0; 32], 1, [3; 12], &mut first).expect("an initiation");
        for at in INITIATION_NOISE {
            let mut changed = first;
            changed[at] ^= 0x80;
            // The curve ignores the last bit of a key; the hash of the transcript does not.
            assert!(Received::read(&bob, &changed).is_none(), "byte {at}");
        }
        assert!(Received::read(&alice, &first).is_none(), "sealed for somebody else");
    }

    #[test]
    fn a_key_of_small_order_gives_no_initiation() {
        let (alice, _) = pair();
        let mut one = [0; 32];
        one[0] = 1;
        let point = PublicKey::from_any_bytes(one).expect("not zero");
        assert!(Initiation::write(&alice, &point, &[0; 32], 1, [0; 12], &mut [0; INITIATION]).is_none());
    }
}
