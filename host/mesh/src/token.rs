//! The enrolment token: all that a server needs to join, in one line of text.
//!
//! `svt1_` and base64url of: flags (1 byte; bit 0: a fingerprint follows), SHA-256 of the control plane's certificate
//! (32 bytes, if flagged), secret (32 bytes), URL (UTF-8), and the first 4 bytes of SHA-256 over all that, so that a
//! token cut while copying is told from a wrong one.

use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use sha2::{Digest, Sha256};
use zeroize::{Zeroize, ZeroizeOnDrop, Zeroizing};

use crate::limits::{MAX_TOKEN_TEXT, MAX_URL};

const PREFIX: &str = "svt1_";
const HAS_FINGERPRINT: u8 = 1;

/// Permission to join an organisation's mesh. Not printed by `Debug`; wiped when dropped.
#[derive(Clone, PartialEq, Eq, Zeroize, ZeroizeOnDrop)]
pub struct EnrolmentToken {
    #[zeroize(skip)]
    url: String,
    #[zeroize(skip)]
    fingerprint: Option<[u8; 32]>,
    secret: [u8; 32],
}

impl EnrolmentToken {
    /// A token for the control plane at `url` (`https://host:port`, see [`check_url`](Self::check_url)). `fingerprint`
    /// is the SHA-256 of its certificate (DER); none where a public authority vouches for it.
    pub fn new(url: impl Into<String>, fingerprint: Option<[u8; 32]>, secret: [u8; 32]) -> Self {
        Self { url: url.into(), fingerprint, secret }
    }

    /// Whether `url` can stand in a token: `https://`, a host, perhaps a port, perhaps a path; at most 512 bytes of
    /// printable ASCII, without user name, query or fragment.
    ///
    /// # Errors
    ///
    /// [`TokenError::Url`] if not.
    pub fn check_url(url: &str) -> Result<(), TokenError> {
        let plain =
            |byte: u8| byte.is_ascii_graphic() && !matches!(byte, b'@' | b'?' | b'#' | b'\\' | b'"' | b'<' | b'>');
        let rest = url.strip_prefix("https://").ok_or(TokenError::Url)?;
        if url.len() > MAX_URL || !rest.bytes().all(plain) {
            return Err(TokenError::Url);
        }
        let authority = rest.split('/').next().unwrap_or_default();
        // Behind the bracket of an IPv6 address a colon starts the port; inside it does not.
        let (host, port) = match authority.rsplit_once(':') {
            Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
            _ => (authority, None),
        };
        let good_port = |port: &str| {
            port.bytes().all(|byte| byte.is_ascii_digit()) && port.parse::<u16>().is_ok_and(|number| number != 0)
        };
        if host.is_empty() || !port.is_none_or(good_port) {
            return Err(TokenError::Url);
        }
        Ok(())
    }

    /// Where the control plane answers.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// SHA-256 of the control plane's certificate (DER).
    pub fn fingerprint(&self) -> Option<&[u8; 32]> {
        self.fingerprint.as_ref()
    }

    /// What proves the right to join, as it goes into the `Authorization` header.
    pub fn bearer(&self) -> Zeroizing<String> {
        Zeroizing::new(URL_SAFE_NO_PAD.encode(self.secret))
    }

    /// What the control plane keeps of a secret: its SHA-256. Secrets are 256 random bits, so no slow hash is needed.
    pub fn secret_hash(secret: &[u8; 32]) -> [u8; 32] {
        Sha256::digest(secret).into()
    }

    /// The secret of a bearer text.
    ///
    /// # Errors
    ///
    /// [`TokenError::Text`] if it is not base64url of 32 bytes.
    pub fn secret_from_bearer(bearer: &str) -> Result<Zeroizing<[u8; 32]>, TokenError> {
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(bearer).map_err(|_| TokenError::Text)?);
        let secret: [u8; 32] = bytes.as_slice().try_into().map_err(|_| TokenError::Text)?;
        Ok(Zeroizing::new(secret))
    }

    /// The token's text. Keep it out of argument lists and logs.
    pub fn to_text(&self) -> Zeroizing<String> {
        let mut bytes = Zeroizing::new(vec![if self.fingerprint.is_some() { HAS_FINGERPRINT } else { 0 }]);
        bytes.extend(self.fingerprint.iter().flatten());
        bytes.extend(self.secret);
        bytes.extend(self.url.as_bytes());
        let sum = Sha256::digest(&bytes);
        bytes.extend(&sum[..4]);
        Zeroizing::new(format!("{PREFIX}{}", URL_SAFE_NO_PAD.encode(&bytes)))
    }
}

impl FromStr for EnrolmentToken {
    type Err = TokenError;

    fn from_str(text: &str) -> Result<Self, TokenError> {
        let text = text.trim();
        if text.len() > MAX_TOKEN_TEXT {
            return Err(TokenError::Text);
        }
        let encoded = text.strip_prefix(PREFIX).ok_or(TokenError::Text)?;
        let bytes = Zeroizing::new(URL_SAFE_NO_PAD.decode(encoded).map_err(|_| TokenError::Damaged)?);
        let (bytes, sum) = bytes.split_last_chunk::<4>().ok_or(TokenError::Damaged)?;
        if Sha256::digest(bytes)[..4] != *sum {
            return Err(TokenError::Damaged);
        }
        let (flags, mut rest) = bytes.split_first().ok_or(TokenError::Damaged)?;
        if flags & !HAS_FINGERPRINT != 0 {
            return Err(TokenError::Newer);
        }
        let mut fingerprint = None;
        if flags & HAS_FINGERPRINT != 0 {
            let (found, behind) = rest.split_first_chunk::<32>().ok_or(TokenError::Damaged)?;
            fingerprint = Some(*found);
            rest = behind;
        }
        let (secret, url) = rest.split_first_chunk::<32>().ok_or(TokenError::Damaged)?;
        let url = std::str::from_utf8(url).map_err(|_| TokenError::Damaged)?;
        Self::check_url(url)?;
        Ok(Self { url: url.to_owned(), fingerprint, secret: *secret })
    }
}

impl fmt::Debug for EnrolmentToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EnrolmentToken").field("url", &self.url).finish_non_exhaustive()
    }
}

/// Why a text is no enrolment token.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum TokenError {
    /// It does not look like one.
    #[error("this is no enrolment token: one starts with `svt1_`; `servos-control token create` prints one")]
    Text,
    /// It looks like one and was cut or mistyped.
    #[error("the enrolment token is damaged (its check sum does not match): copy it again, whole")]
    Damaged,
    /// It says more than this program reads.
    #[error("the enrolment token was made by a newer control plane: upgrade this server's program first")]
    Newer,
    /// Its URL is none that a server could enrol at.
    #[error("the control plane's URL must read https://HOST[:PORT], up to {MAX_URL} bytes, without user name or query")]
    Url,
}
