//! Secrets: how they are made, what is kept of them, how they are written.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use rand::TryRngCore;
use rand::rngs::OsRng;
use servos_mesh::EnrolmentToken;
use zeroize::Zeroizing;

/// SHA-256 of a secret: all that is stored. A secret has 256 random bits, so no slow hash is needed.
pub type SecretHash = [u8; 32];

/// 32 random bytes of the operating system.
///
/// # Errors
///
/// If the operating system has none to give.
pub fn generate() -> Result<Zeroizing<[u8; 32]>, NoRandomness> {
    let mut secret = Zeroizing::new([0; 32]);
    OsRng.try_fill_bytes(secret.as_mut()).map_err(NoRandomness)?;
    Ok(secret)
}

/// 16 random bytes: the number of a mesh.
///
/// # Errors
///
/// If the operating system has none to give.
pub fn mesh_id() -> Result<[u8; 16], NoRandomness> {
    let mut id = [0; 16];
    OsRng.try_fill_bytes(&mut id).map_err(NoRandomness)?;
    Ok(id)
}

/// What is stored of a secret.
pub fn hash(secret: &[u8; 32]) -> SecretHash {
    EnrolmentToken::secret_hash(secret)
}

/// A server's credential as it goes into its `Authorization` header.
pub fn credential_text(secret: &[u8; 32]) -> Zeroizing<String> {
    Zeroizing::new(URL_SAFE_NO_PAD.encode(secret))
}

/// The hash of a bearer text, token or credential; none if it can be neither.
pub fn hash_of_bearer(bearer: &str) -> Option<SecretHash> {
    let secret = EnrolmentToken::secret_from_bearer(bearer).ok()?;
    Some(hash(&secret))
}

/// Lower-case hexadecimal, as fingerprints are written.
pub fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The operating system gave no random bytes.
#[derive(Debug, thiserror::Error)]
#[error("the operating system gives no random bytes")]
pub struct NoRandomness(#[source] rand::rand_core::OsError);
