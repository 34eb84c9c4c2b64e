//! A double of the control plane: TLS, and any bytes as an answer. No real one breaks off on demand.

use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use rcgen::{CertificateParams, KeyPair};
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::PrivatePkcs8KeyDer;
use servos_agent::control_client::ControlClient;
use sha2::{Digest, Sha256};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use tokio_rustls::TlsAcceptor;
use zeroize::Zeroizing;

/// It answers for as long as the test's runtime lives.
pub struct ControlDouble {
    /// A client of it.
    pub client: ControlClient,
    polls: Arc<Mutex<Vec<String>>>,
}

impl ControlDouble {
    /// Answers a poll, of which it is given the head, with what `answer` says, and all else with 204.
    pub async fn start(answer: impl Fn(&str) -> Vec<u8> + Send + Sync + 'static) -> Self {
        let key = KeyPair::generate().expect("a key");
        let certificate = CertificateParams::new(vec!["localhost".to_owned()]).expect("parameters");
        let certificate = certificate.self_signed(&key).expect("a certificate").der().clone();
        let fingerprint = Sha256::digest(&certificate).into();
        let tls = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
            .with_safe_default_protocol_versions()
            .expect("versions")
            .with_no_client_auth()
            .with_single_cert(vec![certificate], PrivatePkcs8KeyDer::from(key.serialize_der()).into())
            .expect("a configuration");
        let acceptor = TlsAcceptor::from(Arc::new(tls));
        let listener = TcpListener::bind("127.0.0.1:0").await.expect("a port");
        let url = format!("https://{}", listener.local_addr().expect("an address"));
        let polls = Arc::new(Mutex::new(Vec::new()));
        let client = ControlClient::new(&url, Some(fingerprint), Zeroizing::new("credential".to_owned()));
        let double = Self { client: client.expect("a client"), polls: polls.clone() };
        let answer = Arc::new(answer);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (acceptor, answer, polls) = (acceptor.clone(), answer.clone(), polls.clone());
                tokio::spawn(async move { serve(&acceptor, stream, &*answer, &polls).await });
            }
        });
        double
    }

    /// Heads of the polls so far.
    pub fn polls(&self) -> Vec<String> {
        self.polls.lock().clone()
    }
}

/// One request a connection.
async fn serve(
    acceptor: &TlsAcceptor,
    stream: TcpStream,
    answer: &(dyn Fn(&str) -> Vec<u8> + Send + Sync),
    polls: &Mutex<Vec<String>>,
) {
    let Ok(mut stream) = acceptor.accept(stream).await else { return };
    let mut request = Vec::new();
    let head = loop {
        if stream.read_buf(&mut request).await.unwrap_or(0) == 0 {
            return;
        }
        let text = String::from_utf8_lossy(&request).to_lowercase();
        let Some((head, body)) = text.split_once("\r\n\r\n") else { continue };
        let length = head.lines().find_map(|line| line.strip_prefix("content-length: ")?.parse().ok());
        if body.len() >= length.unwrap_or(0) {
            break head.to_owned();
        }
    };
    let bytes = if head.starts_with("get ") {
        polls.lock().push(head.clone());
        // As long as it takes a real one; who is answered at once asks again at once.
        tokio::time::sleep(Duration::from_millis(20)).await;
        answer(&head)
    } else {
        b"HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n".to_vec()
    };
    // Who asked may be gone.
    let _ = stream.write_all(&bytes).await;
    let _ = stream.shutdown().await;
}
