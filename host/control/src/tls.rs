//! TLS: the self-signed certificate whose fingerprint the enrolment tokens carry, and the listener's configuration.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use rcgen::{CertificateParams, DnType, KeyPair, date_time_ymd};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls_pki_types::pem::{self, PemObject};
use rustls_pki_types::{CertificateDer, PrivateKeyDer};
use sha2::{Digest, Sha256};
use zeroize::Zeroizing;

/// A certificate and its key, PEM.
pub struct SelfSigned {
    /// The certificate.
    pub certificate: String,
    /// The private key. A secret.
    pub key: Zeroizing<String>,
    /// SHA-256 of the certificate (DER).
    pub fingerprint: [u8; 32],
}

/// Makes a certificate for `host`, a host name or an IP address. Servers know it by its fingerprint, so it does not
/// expire: its dates are RFC 5280's "no well-defined expiration" (§4.1.2.5).
///
/// # Errors
///
/// [`TlsError::Generate`] if `host` can stand in no certificate.
pub fn self_signed(host: &str) -> Result<SelfSigned, TlsError> {
    let failed = |source| TlsError::Generate { host: host.to_owned(), source };
    let mut parameters = CertificateParams::new(vec![host.to_owned()]).map_err(failed)?;
    parameters.not_before = date_time_ymd(2020, 1, 1);
    parameters.not_after = date_time_ymd(9999, 12, 31);
    parameters.distinguished_name.push(DnType::CommonName, "servos-control");
    let key = KeyPair::generate().map_err(failed)?;
    let certificate = parameters.self_signed(&key).map_err(failed)?;
    Ok(SelfSigned {
        fingerprint: fingerprint(certificate.der()),
        certificate: certificate.pem(),
        key: Zeroizing::new(key.serialize_pem()),
    })
}

/// The host of an `https://` URL that `EnrolmentToken::check_url` accepts, brackets of IPv6 removed.
pub fn host_of(url: &str) -> Option<&str> {
    let authority = url.strip_prefix("https://")?.split('/').next()?;
    if let Some(rest) = authority.strip_prefix('[') {
        return Some(rest.split_once(']')?.0);
    }
    Some(authority.rsplit_once(':').map_or(authority, |(host, _)| host))
}

/// The listener's configuration and the fingerprint of the certificate that it shows.
pub struct ListenerTls {
    /// For the listener.
    pub config: Arc<ServerConfig>,
    /// SHA-256 of the first certificate (DER).
    pub fingerprint: [u8; 32],
}

/// Reads certificate chain and key, PEM.
///
/// # Errors
///
/// [`TlsError`], with the file.
pub fn listener(certificate: &Path, key: &Path) -> Result<ListenerTls, TlsError> {
    let unreadable = |path: &Path, source| TlsError::Read { path: path.to_owned(), source };
    let chain = CertificateDer::pem_file_iter(certificate)
        .and_then(Iterator::collect::<Result<Vec<_>, _>>)
        .map_err(|source| unreadable(certificate, source))?;
    let first = chain.first().ok_or_else(|| TlsError::NoCertificate(certificate.to_owned()))?;
    let fingerprint = fingerprint(first);
    let private = PrivateKeyDer::from_pem_file(key).map_err(|source| unreadable(key, source))?;
    let unusable = |source| TlsError::Unusable { certificate: certificate.to_owned(), key: key.to_owned(), source };
    let mut config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .map_err(unusable)?
        .with_no_client_auth()
        .with_single_cert(chain, private)
        .map_err(unusable)?;
    config.alpn_protocols = vec![b"http/1.1".to_vec()];
    // A fleet that reconnects resumes, which costs a tenth of a handshake.
    config.ticketer = ring::Ticketer::new().map_err(unusable)?;
    Ok(ListenerTls { config: Arc::new(config), fingerprint })
}

fn fingerprint(certificate: &CertificateDer<'_>) -> [u8; 32] {
    Sha256::digest(certificate).into()
}

/// Why TLS cannot be set up.
#[derive(Debug, thiserror::Error)]
pub enum TlsError {
    /// No certificate can be made.
    #[error("cannot make a certificate for {host:?}: give --url a host name or an IP address")]
    Generate {
        /// Whom it was for.
        host: String,
        /// What the library said.
        #[source]
        source: rcgen::Error,
    },
    /// A file cannot be read.
    #[error("cannot read {path} as PEM")]
    Read {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: pem::Error,
    },
    /// A file without certificate.
    #[error("{0} holds no certificate")]
    NoCertificate(PathBuf),
    /// Certificate and key that do not work.
    #[error("certificate {certificate} and key {key} cannot be used")]
    Unusable {
        /// The certificate's file.
        certificate: PathBuf,
        /// The key's file.
        key: PathBuf,
        /// What the library said.
        #[source]
        source: rustls::Error,
    },
}
