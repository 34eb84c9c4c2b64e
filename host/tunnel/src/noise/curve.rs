//! Curve25519 for the Noise library: secrets are erased when dropped, and a shared secret of zeros is refused, which a
//! peer's key of small order would give.

use servos_mesh::PublicKey;
use snow::Error;
use snow::params::{CipherChoice, DHChoice, HashChoice};
use snow::resolvers::{CryptoResolver, DefaultResolver};
use snow::types::{Cipher, Dh, Hash, Random};
use x25519_dalek::StaticSecret;
use zeroize::Zeroizing;

use super::cipher::ErasedCipher;

/// The library's own primitives, but for those that hold secrets.
pub(super) struct Resolver {
    /// The public half of the static secret that the library is given: it would be computed for each handshake again.
    pub(super) own: PublicKey,
}

impl CryptoResolver for Resolver {
    fn resolve_rng(&self) -> Option<Box<dyn Random>> {
        DefaultResolver.resolve_rng()
    }

    fn resolve_dh(&self, choice: &DHChoice) -> Option<Box<dyn Dh>> {
        let curve = || Curve { own: self.own, secret: Zeroizing::default(), public: [0; 32] };
        matches!(choice, DHChoice::Curve25519).then(|| Box::new(curve()) as Box<dyn Dh>)
    }

    fn resolve_hash(&self, choice: &HashChoice) -> Option<Box<dyn Hash>> {
        DefaultResolver.resolve_hash(choice)
    }

    fn resolve_cipher(&self, choice: &CipherChoice) -> Option<Box<dyn Cipher>> {
        matches!(choice, CipherChoice::ChaChaPoly).then(|| Box::new(ErasedCipher::default()) as Box<dyn Cipher>)
    }
}

struct Curve {
    own: PublicKey,
    secret: Zeroizing<[u8; 32]>,
    public: [u8; 32],
}

impl Dh for Curve {
    fn name(&self) -> &'static str {
        "25519"
    }

    fn pub_len(&self) -> usize {
        32
    }

    fn priv_len(&self) -> usize {
        32
    }

    fn set(&mut self, privkey: &[u8]) {
        // Only the static secret is set; ephemeral ones are generated.
        self.secret.copy_from_slice(&privkey[..32]);
        self.public = *self.own.as_bytes();
    }

    fn generate(&mut self, rng: &mut dyn Random) -> Result<(), Error> {
        rng.try_fill_bytes(self.secret.as_mut_slice())?;
        self.public = x25519_dalek::PublicKey::from(&StaticSecret::from(*self.secret)).to_bytes();
        Ok(())
    }

    fn pubkey(&self) -> &[u8] {
        &self.public
    }

    fn privkey(&self) -> &[u8] {
        self.secret.as_slice()
    }

    fn dh(&self, pubkey: &[u8], out: &mut [u8]) -> Result<(), Error> {
        let peer: [u8; 32] = pubkey.get(..32).and_then(|bytes| bytes.try_into().ok()).ok_or(Error::Dh)?;
        let shared = StaticSecret::from(*self.secret).diffie_hellman(&peer.into());
        if !shared.was_contributory() {
            return Err(Error::Dh);
        }
        out.get_mut(..32).ok_or(Error::Dh)?.copy_from_slice(shared.as_bytes());
        Ok(())
    }
}
