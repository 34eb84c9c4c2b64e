//! ChaCha20-Poly1305 for the Noise library: its own keeps the keys that were agreed on in memory that is freed as it is.

use chacha20poly1305::aead::{AeadInPlace as _, KeyInit as _};
use chacha20poly1305::{ChaCha20Poly1305, Nonce, Tag};
use snow::Error;
use snow::types::Cipher;
use zeroize::Zeroizing;

const TAG: usize = 16;

/// The cipher, with a key that is erased when it is dropped.
#[derive(Default)]
pub(super) struct ErasedCipher {
    key: Zeroizing<[u8; 32]>,
}

impl ErasedCipher {
    fn cipher(&self) -> ChaCha20Poly1305 {
        ChaCha20Poly1305::new((&*self.key).into())
    }
}

impl Cipher for ErasedCipher {
    fn name(&self) -> &'static str {
        "ChaChaPoly"
    }

    fn set(&mut self, key: &[u8; 32]) {
        *self.key = *key;
    }

    fn encrypt(&self, nonce: u64, authtext: &[u8], plaintext: &[u8], out: &mut [u8]) -> usize {
        let (text, rest) = out.split_at_mut(plaintext.len());
        text.copy_from_slice(plaintext);
        let tag = self.cipher().encrypt_in_place_detached(&of_counter(nonce), authtext, text);
        // Refused are only texts of more than 256 GiB.
        rest[..TAG].copy_from_slice(&tag.expect("messages of handshakes are short"));
        plaintext.len() + TAG
    }

    fn decrypt(&self, nonce: u64, authtext: &[u8], ciphertext: &[u8], out: &mut [u8]) -> Result<usize, Error> {
        let (sealed, tag) = ciphertext.split_last_chunk::<TAG>().ok_or(Error::Decrypt)?;
        let text = out.get_mut(..sealed.len()).ok_or(Error::Decrypt)?;
        text.copy_from_slice(sealed);
        let opened = self.cipher().decrypt_in_place_detached(&of_counter(nonce), authtext, text, Tag::from_slice(tag));
        opened.map(|()| sealed.len()).map_err(|_| Error::Decrypt)
    }
}

/// The nonce of a counter (Noise §12.3): 4 bytes of zeros, the counter little endian.
fn of_counter(counter: u64) -> Nonce {
    let mut nonce = [0; 12];
    nonce[4..].copy_from_slice(&counter.to_le_bytes());
    nonce.into()
}

#[cfg(test)]
mod tests {
    use std::mem::MaybeUninit;

    use snow::params::CipherChoice;
    use snow::resolvers::{CryptoResolver as _, DefaultResolver};

    use super::*;

    #[test]
    fn it_is_the_librarys_own_cipher() {
        let mut theirs = DefaultResolver.resolve_cipher(&CipherChoice::ChaChaPoly).expect("it has one");
        let mut ours = ErasedCipher::default();
        theirs.set(&[7; 32]);
        ours.set(&[7; 32]);
        let (mut one, mut other) = ([0; 60], [0; 60]);
        assert_eq!(ours.encrypt(9, b"head", &[5; 44], &mut one), theirs.encrypt(9, b"head", &[5; 44], &mut other));
        assert_eq!(one, other);
        let mut text = [0; 44];
        assert_eq!(ours.decrypt(9, b"head", &one, &mut text).ok(), Some(44));
        assert_eq!(text, [5; 44]);
        for at in 0..one.len() {
            let mut changed = one;
            changed[at] ^= 1;
            assert!(ours.decrypt(9, b"head", &changed, &mut text).is_err(), "byte {at}");
        }
        assert!(ours.decrypt(9, b"", &one, &mut text).is_err());
        assert!(ours.decrypt(9, b"head", &one[..15], &mut text).is_err());
        assert!(ours.decrypt(9, b"head", &one, &mut text[..43]).is_err());
    }

    #[test]
    fn nothing_of_the_key_is_left_behind() {
        let mut place = MaybeUninit::new(ErasedCipher::default());
        // SAFETY: it was just made; it is dropped once, and its bytes are read as what `MaybeUninit` may hold.
        let bytes = unsafe {
            place.assume_init_mut().set(&[0xa5; 32]);
            place.assume_init_drop();
            std::slice::from_raw_parts(place.as_ptr().cast::<u8>(), size_of::<ErasedCipher>())
        };
        assert_eq!(bytes, [0; 32]);
    }
}
