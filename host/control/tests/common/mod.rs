//! A control plane of one's own for each test: the real program in a folder of its own, and a client that pins.
#![allow(dead_code, reason = "each test file uses its part")]
#![allow(missing_docs, clippy::unwrap_used, reason = "tests")]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use reqwest::{Method, RequestBuilder, Response, StatusCode};
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{DigitallySignedStruct, SignatureScheme};
use serde_json::{Value, json};
use servos_control::allocation::AddressPool;
use servos_control::data_dir::DataDir;
use servos_control::http::Api;
use servos_control::live::Live;
use servos_control::store::Store;
use servos_control::tls;
use servos_mesh::{EnrolmentToken, MeshDelta, MeshState, PeerTable};
use sha2::{Digest, Sha256};

/// Longer than anything here takes on a slow machine.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A control plane's folder.
pub struct Plane {
    folder: tempfile::TempDir,
    pub first_token: EnrolmentToken,
}

impl Plane {
    /// With one organisation, `acme`.
    pub fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let made = run(&folder.path().join("data"), &["--json", "init", "--organisation", "acme", "--url", URL], "");
        assert!(made.status.success(), "{}", String::from_utf8_lossy(&made.stderr));
        let made: Value = serde_json::from_slice(&made.stdout).unwrap();
        Self { folder, first_token: made["token"].as_str().unwrap().parse().unwrap() }
    }

    pub fn path(&self) -> PathBuf {
        self.folder.path().join("data")
    }

    pub fn database(&self) -> PathBuf {
        DataDir::new(self.path()).database()
    }

    pub fn store(&self) -> Store {
        Store::open(&self.database()).unwrap()
    }

    /// Writes a file beside the control plane's folder.
    pub fn file(&self, name: &str, text: &str) -> String {
        let path = self.folder.path().join(name);
        std::fs::write(&path, text).unwrap();
        path.to_str().unwrap().to_owned()
    }

    /// Runs a command that must do, and returns its JSON.
    pub fn json(&self, arguments: &[&str]) -> Value {
        let mut all = vec!["--json"];
        all.extend(arguments);
        serde_json::from_str(&self.ok(&all)).unwrap()
    }

    /// Runs a command that must do, and returns what it printed.
    pub fn ok(&self, arguments: &[&str]) -> String {
        let output = run(&self.path(), arguments, "");
        assert!(output.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).unwrap()
    }

    /// Runs a command that must fail with that exit code, and returns its words.
    pub fn fails(&self, code: i32, arguments: &[&str]) -> String {
        let output = run(&self.path(), arguments, "");
        let words = String::from_utf8(output.stderr).unwrap();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {words}");
        words
    }

    pub fn token(&self, more: &[&str]) -> EnrolmentToken {
        let mut arguments = vec!["token", "create"];
        arguments.extend(more);
        self.json(&arguments)["token"].as_str().unwrap().parse().unwrap()
    }

    pub fn apply(&self, yaml: &str) -> Value {
        let file = self.file("resources.yaml", yaml);
        self.json(&["resource", "apply", "-f", &file, "--organisation", "acme"])
    }

    /// Serves inside this process.
    pub async fn serve(&self) -> Client {
        self.serve_pool(AddressPool::default()).await
    }

    pub async fn serve_pool(&self, pool: AddressPool) -> Client {
        let data = DataDir::new(self.path());
        let tls = tls::listener(&data.certificate(), &data.key()).unwrap();
        let live = Live::open(&data.database(), pool).unwrap();
        let api = Api::start(live, "127.0.0.1:0".parse().unwrap(), tls.config).await.unwrap();
        let client = Client::new(api.address(), *self.first_token.fingerprint().unwrap());
        Client { served: Some(Arc::new(api)), ..client }
    }

    /// Serves as a process of its own.
    pub fn serve_process(&self) -> Process {
        let mut child = Command::new(env!("CARGO_BIN_EXE_servos-control"))
            .arg("--data")
            .arg(self.path())
            .args(["serve", "--listen", "127.0.0.1:0", "--log-format", "json"])
            .stderr(Stdio::piped())
            .spawn()
            .unwrap();
        let mut log = BufReader::new(child.stderr.take().unwrap()).lines();
        let address = loop {
            let line = log.next().expect("the log ended before it said where it listens").unwrap();
            let line: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if let Some(address) = line["address"].as_str() {
                break address.parse().unwrap();
            }
        };
        let (tell, told) = std::sync::mpsc::channel();
        // Somebody has to read, or the process would wait; a test may not be interested.
        std::thread::spawn(move || log.map_while(Result::ok).for_each(|line| drop(tell.send(line))));
        Process { child: KilledChild(child), address, fingerprint: *self.first_token.fingerprint().unwrap(), log: told }
    }
}

const URL: &str = "https://control.test:8443";

/// Runs the program.
pub fn run(data: &std::path::Path, arguments: &[&str], stdin: &str) -> std::process::Output {
    let mut child = Command::new(env!("CARGO_BIN_EXE_servos-control"))
        .arg("--data")
        .arg(data)
        .args(arguments)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap();
    // A program that has failed by now reads nothing.
    let _ = child.stdin.take().unwrap().write_all(stdin.as_bytes());
    child.wait_with_output().unwrap()
}

pub struct Process {
    pub child: KilledChild,
    pub address: SocketAddr,
    fingerprint: [u8; 32],
    log: std::sync::mpsc::Receiver<String>,
}

impl Process {
    pub fn client(&self) -> Client {
        Client::new(self.address, self.fingerprint)
    }

    /// Waits for the record of that message in the log.
    pub fn logged(&self, message: &str) -> Value {
        loop {
            let line = self.log.recv_timeout(DEADLINE).unwrap_or_else(|_| panic!("never logged: {message}"));
            let record: Value = serde_json::from_str(&line).unwrap_or_else(|_| panic!("no JSON: {line}"));
            if record["message"] == message {
                return record;
            }
        }
    }
}

/// A process that does not outlive its test.
pub struct KilledChild(pub Child);

impl KilledChild {
    pub fn signal(&self, signal: Signal) {
        kill(Pid::from_raw(self.0.id().cast_signed()), signal).unwrap();
    }
}

impl Drop for KilledChild {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Talks to a control plane as an agent does.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    pub address: SocketAddr,
    /// What it talks to, if that is in this process: it runs as long as somebody has it.
    served: Option<Arc<Api>>,
}

impl Client {
    pub fn new(address: SocketAddr, fingerprint: [u8; 32]) -> Self {
        let provider = Arc::new(ring::default_provider());
        let config = rustls::ClientConfig::builder_with_provider(provider.clone())
            .with_safe_default_protocol_versions()
            .unwrap()
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Pin { fingerprint, provider }))
            .with_no_client_auth();
        let http = reqwest::Client::builder().tls_backend_preconfigured(config).no_proxy().timeout(DEADLINE);
        Self { http: http.build().unwrap(), address, served: None }
    }

    pub fn request(&self, method: Method, path: &str, bearer: &str) -> RequestBuilder {
        self.http.request(method, format!("https://{}{path}", self.address)).bearer_auth(bearer)
    }

    pub async fn enrol(&self, bearer: &str, name: &str) -> Response {
        self.enrol_with(bearer, &enrolment(name)).await
    }

    pub async fn enrol_with(&self, bearer: &str, body: &Value) -> Response {
        self.request(Method::POST, "/api/v1/enrol", bearer).json(body).send().await.unwrap()
    }

    /// Enrols with a new token, and returns credential and address.
    pub async fn join(&self, plane: &Plane, organisation: &str, name: &str) -> (String, String) {
        let token = plane.token(&["--organisation", organisation]);
        let response = self.enrol(&token.bearer(), name).await;
        assert_eq!(response.status(), StatusCode::CREATED, "{name}");
        let answer: Value = response.json().await.unwrap();
        let text = |key: &str| answer[key].as_str().unwrap().to_owned();
        (text("credential"), text("address"))
    }

    pub fn config(&self, credential: &str) -> RequestBuilder {
        self.request(Method::GET, "/api/v1/mesh/config", credential)
    }

    /// The mesh as a server of it sees it.
    pub async fn state(&self, credential: &str) -> MeshState {
        let response = self.config(credential).send().await.unwrap();
        state_of(response).await
    }
}

pub async fn state_of(response: Response) -> MeshState {
    assert_eq!(response.status(), StatusCode::OK);
    assert_eq!(header(&response, "content-type"), "application/vnd.servos.mesh-state");
    let tag = header(&response, "etag");
    let state = MeshState::parse(response.bytes().await.unwrap()).unwrap();
    assert_eq!(tag, state.revision().etag());
    state
}

/// The delta of an answer 226, and the state that it leads to from `before`.
pub async fn delta_of(response: Response, before: &MeshState) -> (MeshDelta, Arc<MeshState>) {
    assert_eq!(response.status(), StatusCode::IM_USED);
    assert_eq!(header(&response, "content-type"), "application/vnd.servos.mesh-delta");
    assert_eq!(header(&response, "im"), "servos-mesh-delta");
    assert_eq!(header(&response, "delta-base"), before.revision().etag());
    let tag = header(&response, "etag");
    let delta = MeshDelta::parse(response.bytes().await.unwrap()).unwrap();
    assert_eq!(tag, delta.revision().etag());
    let before = MeshState::parse(before.body().clone()).unwrap();
    let table = PeerTable::new(Arc::new(before), None).apply(&delta).unwrap();
    (delta, table.compact(None).unwrap().base().clone())
}

pub fn names(state: &MeshState) -> Vec<String> {
    state.peers().iter().map(|peer| state.name_of(peer).to_owned()).collect()
}

pub fn header(response: &Response, name: &str) -> String {
    response.headers().get(name).map(|value| value.to_str().unwrap().to_owned()).unwrap_or_default()
}

/// Status, code and message of a refusal.
pub async fn refusal(response: Response) -> (u16, String, String) {
    let status = response.status().as_u16();
    assert_eq!(header(&response, "content-type"), "application/json", "{status}");
    let body: servos_mesh::api::ErrorBody = response.json().await.unwrap();
    (status, body.code, body.message)
}

pub fn enrolment(name: &str) -> Value {
    json!({ "name": name, "public_key": random_key(), "endpoint": { "ip": null, "port": 51820 } })
}

pub fn random_key() -> String {
    servos_mesh::PublicKey::from_bytes(rand::random()).unwrap().to_string()
}

#[derive(Debug)]
struct Pin {
    fingerprint: [u8; 32],
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Pin {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        _: &[CertificateDer<'_>],
        _: &ServerName<'_>,
        _: &[u8],
        _: UnixTime,
    ) -> Result<ServerCertVerified, rustls::Error> {
        let found: [u8; 32] = Sha256::digest(end_entity).into();
        if found != self.fingerprint {
            return Err(rustls::Error::General("another certificate than the one pinned".to_owned()));
        }
        Ok(ServerCertVerified::assertion())
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls12_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, rustls::Error> {
        verify_tls13_signature(message, certificate, signature, &self.provider.signature_verification_algorithms)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
