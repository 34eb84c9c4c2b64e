//! HTTP to the control plane: one connection pool, pinned to its certificate, nothing believed without a limit.

use std::sync::Arc;
use std::time::{Duration, SystemTime};

use bytes::{Bytes, BytesMut};
use reqwest::header::{
    AUTHORIZATION, CONTENT_TYPE, ETAG, HeaderMap, HeaderValue, IF_NONE_MATCH, LOCATION, RETRY_AFTER,
};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use servos_mesh::api::{
    A_IM, DELTA_BASE, DELTA_MANIPULATION, EndpointReport, EnrolRequest, EnrolResponse, ErrorBody, IM, KeyRotation,
    MESH_DELTA_TYPE, MESH_STATE_TYPE,
};
use servos_mesh::limits::{MAX_DELTA_BYTES, MAX_JSON_BODY, MAX_STATE_BYTES};
use servos_mesh::{MeshDelta, MeshState, PublicKey, Revision, WireError};
use zeroize::Zeroizing;

use crate::error_chain::chain;
use crate::limits::{CONNECT_TIMEOUT, POLL_GRACE, POLL_WAIT, READ_TIMEOUT, REQUEST_TIMEOUT, RETRY_AFTER_CEILING};
use crate::pinned_tls;

/// What a poll brought.
#[derive(Debug)]
pub enum Polled {
    /// Nothing changed. `held`: the control plane waited, so the next poll may follow at once.
    Unchanged {
        /// Whether `Prefer: wait` was honoured.
        held: bool,
    },
    /// A state that differs from the one whose revision was sent.
    Changed(Box<MeshState>),
    /// What changed since the state whose revision was sent.
    Delta(Box<MeshDelta>),
}

/// Talks to one control plane.
#[derive(Clone)]
pub struct ControlClient {
    http: Client,
    url: String,
    credential: Arc<Zeroizing<String>>,
}

impl ControlClient {
    /// A client for `url` (`https://host:port`), with the bearer `credential`. With a fingerprint, exactly that
    /// certificate is accepted; without, whatever the system's authorities vouch for.
    ///
    /// # Errors
    ///
    /// [`ControlError::Client`] if TLS cannot be set up.
    pub fn new(url: &str, fingerprint: Option<[u8; 32]>, credential: Zeroizing<String>) -> Result<Self, ControlError> {
        let builder = Client::builder()
            .user_agent(concat!("servos-agent/", env!("CARGO_PKG_VERSION")))
            .connect_timeout(CONNECT_TIMEOUT)
            .read_timeout(READ_TIMEOUT)
            // A proxy or a redirect could carry the credential elsewhere.
            .no_proxy()
            .redirect(reqwest::redirect::Policy::none())
            .https_only(true);
        let builder = match fingerprint {
            Some(fingerprint) => builder.tls_backend_preconfigured(
                pinned_tls::client_config(fingerprint).map_err(|error| ControlError::Client(error.to_string()))?,
            ),
            None => builder,
        };
        let http = builder.build().map_err(|error| ControlError::Client(error.to_string()))?;
        Ok(Self { http, url: url.trim_end_matches('/').to_owned(), credential: Arc::new(credential) })
    }

    /// Where the control plane is.
    pub fn url(&self) -> &str {
        &self.url
    }

    /// Joins; the client's credential is the enrolment token's bearer.
    ///
    /// # Errors
    ///
    /// [`ControlError`], as the control plane words it.
    pub async fn enrol(&self, request: &EnrolRequest) -> Result<EnrolResponse, ControlError> {
        let sent = self.request(Method::POST, "/api/v1/enrol").json(request).timeout(REQUEST_TIMEOUT).send().await;
        let response = self.accepted(self.arrived(sent)?).await?;
        let body = Zeroizing::new(self.body(response, MAX_JSON_BODY).await?.to_vec());
        serde_json::from_slice(&body).map_err(|error| self.foreign(format!("its answer is no enrolment: {error}")))
    }

    /// Tells where peers reach this server.
    ///
    /// # Errors
    ///
    /// [`ControlError`]
    pub async fn report_endpoint(&self, report: &EndpointReport) -> Result<(), ControlError> {
        let request = self.request(Method::PUT, "/api/v1/server/endpoint").json(report);
        self.accepted(self.arrived(request.timeout(REQUEST_TIMEOUT).send().await)?).await.map(drop)
    }

    /// Leaves the mesh.
    ///
    /// # Errors
    ///
    /// [`ControlError`]
    pub async fn leave(&self) -> Result<(), ControlError> {
        let request = self.request(Method::DELETE, "/api/v1/server");
        self.accepted(self.arrived(request.timeout(REQUEST_TIMEOUT).send().await)?).await.map(drop)
    }

    /// Asks for the mesh state; with `known`, only if it differs, and the answer may be held; with `deltas`, for what
    /// changed since.
    ///
    /// # Errors
    ///
    /// [`ControlError`]; the state that is there stays.
    pub async fn poll(&self, known: Option<Revision>, deltas: bool) -> Result<Polled, ControlError> {
        let mut request = self.request(Method::GET, "/api/v1/mesh/config");
        if let Some(revision) = known {
            request = request
                .header(IF_NONE_MATCH, revision.etag())
                .header("prefer", format!("wait={}", POLL_WAIT.as_secs()));
            if deltas {
                request = request.header(A_IM, DELTA_MANIPULATION);
            }
        }
        let sent = tokio::time::timeout(POLL_WAIT + POLL_GRACE, request.send()).await;
        let sent = sent.map_err(|_| ControlError::Silent { url: self.url.clone() })?;
        let response = self.accepted(self.arrived(sent)?).await?;
        if response.status() == StatusCode::NOT_MODIFIED {
            let held = response.headers().contains_key("preference-applied");
            return Ok(Polled::Unchanged { held });
        }
        if response.status() == StatusCode::IM_USED {
            return self.delta(response, known).await.map(|delta| Polled::Delta(Box::new(delta)));
        }
        let content_type = text(&response, CONTENT_TYPE.as_str());
        if media_type(content_type) != MESH_STATE_TYPE {
            return Err(self.foreign(format!("it answers {content_type:?} where a mesh state was asked for")));
        }
        let tag = text(&response, ETAG.as_str()).to_owned();
        let body = self.body(response, MAX_STATE_BYTES).await?;
        // Checking four million records takes a while: not on a thread that others wait for.
        let state = tokio::task::spawn_blocking(move || MeshState::parse(body))
            .await
            .map_err(|error| ControlError::Client(error.to_string()))?
            .map_err(|source| ControlError::State { url: self.url.clone(), source })?;
        if Revision::from_etag(&tag) != Ok(state.revision()) {
            return Err(self.foreign("its ETag is not the revision of its body".to_owned()));
        }
        Ok(Polled::Changed(Box::new(state)))
    }

    /// The delta of an answer 226, which must lead on from what was sent.
    async fn delta(&self, response: Response, known: Option<Revision>) -> Result<MeshDelta, ControlError> {
        let unusable = |problem: String| ControlError::Delta { url: self.url.clone(), problem };
        let (kind, done) = (text(&response, CONTENT_TYPE.as_str()), text(&response, IM));
        if media_type(kind) != MESH_DELTA_TYPE || !done.trim().eq_ignore_ascii_case(DELTA_MANIPULATION) {
            return Err(unusable(format!("it is {kind:?}, by {done:?}")));
        }
        let base = Revision::from_etag(text(&response, DELTA_BASE)).ok();
        if base.is_none() || base != known {
            return Err(unusable("it leads on from another revision than the one in force".to_owned()));
        }
        let tag = Revision::from_etag(text(&response, ETAG.as_str())).ok();
        let body = self.body(response, MAX_DELTA_BYTES).await.map_err(|error| match error {
            // The whole may well be allowed.
            ControlError::TooLong { limit, .. } => unusable(format!("it is longer than {limit} bytes")),
            other => other,
        })?;
        let delta = tokio::task::spawn_blocking(move || MeshDelta::parse(body))
            .await
            .map_err(|error| ControlError::Client(error.to_string()))?
            .map_err(|source| unusable(chain(&source)))?;
        if tag != Some(delta.revision()) || base != Some(delta.base()) {
            return Err(unusable("its ETag or Delta-Base is not what its body says".to_owned()));
        }
        Ok(delta)
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let bearer = Zeroizing::new(format!("Bearer {}", self.credential.as_str()));
        let request = self.http.request(method, format!("{}{path}", self.url));
        match HeaderValue::from_str(&bearer) {
            Ok(mut value) => {
                value.set_sensitive(true);
                request.header(AUTHORIZATION, value)
            }
            // A credential that no header can carry is refused by the control plane like any wrong one.
            Err(_) => request,
        }
    }

    fn arrived(&self, sent: Result<Response, reqwest::Error>) -> Result<Response, ControlError> {
        sent.map_err(|error| {
            if error.is_timeout() && !error.is_connect() {
                return ControlError::Silent { url: self.url.clone() };
            }
            let (problem, broke_off) = (innermost(&error), !error.is_connect());
            ControlError::Unreachable { url: self.url.clone(), problem, broke_off }
        })
    }

    /// Turns every status that is no success into an error.
    async fn accepted(&self, response: Response) -> Result<Response, ControlError> {
        let status = response.status();
        if status.is_success() || status == StatusCode::NOT_MODIFIED {
            return Ok(response);
        }
        if let Some(to) = response.headers().get(LOCATION) {
            return Err(self.foreign(format!("it redirects to {to:?}; give its own address")));
        }
        let retry_after = retry_after(response.headers());
        let body = self.body(response, MAX_JSON_BODY).await.unwrap_or_default();
        let Ok(body) = serde_json::from_slice::<ErrorBody>(&body) else {
            return Err(ControlError::Refused {
                url: self.url.clone(),
                status: status.as_u16(),
                code: String::new(),
                message: status.canonical_reason().unwrap_or("no reason given").to_owned(),
                retry_after,
            });
        };
        let printable = |text: &str| text.chars().filter(|c| !c.is_control()).take(400).collect::<String>();
        Err(ControlError::Refused {
            url: self.url.clone(),
            status: status.as_u16(),
            code: printable(&body.code),
            message: printable(&body.message),
            retry_after,
        })
    }

    async fn body(&self, mut response: Response, limit: usize) -> Result<Bytes, ControlError> {
        let too_long = || ControlError::TooLong { url: self.url.clone(), limit };
        if response.content_length().is_some_and(|length| length > limit as u64) {
            return Err(too_long());
        }
        let mut body = BytesMut::new();
        loop {
            let chunk = response.chunk().await.map_err(|error| ControlError::Unreachable {
                url: self.url.clone(),
                problem: format!("its answer broke off: {}", innermost(&error)),
                broke_off: true,
            })?;
            let Some(chunk) = chunk else { return Ok(body.freeze()) };
            if body.len() + chunk.len() > limit {
                return Err(too_long());
            }
            body.extend_from_slice(&chunk);
        }
    }

    fn foreign(&self, problem: String) -> ControlError {
        ControlError::Foreign { url: self.url.clone(), problem }
    }
}

/// What tells the control plane this server's key.
pub trait Publish: Send + Sync + 'static {
    /// Tells the public half; once it has it, again is no harm.
    ///
    /// # Errors
    ///
    /// [`ControlError`]
    fn publish_key(&self, public_key: PublicKey) -> impl Future<Output = Result<(), ControlError>> + Send;
}

impl Publish for ControlClient {
    async fn publish_key(&self, public_key: PublicKey) -> Result<(), ControlError> {
        let request = self.request(Method::PUT, "/api/v1/server/key").json(&KeyRotation { public_key });
        self.accepted(self.arrived(request.timeout(REQUEST_TIMEOUT).send().await)?).await.map(drop)
    }
}

/// A header field's text; empty if it is not there.
fn text<'a>(response: &'a Response, name: &str) -> &'a str {
    response.headers().get(name).and_then(|value| value.to_str().ok()).unwrap_or_default()
}

/// A content type without its parameters.
fn media_type(content_type: &str) -> &str {
    content_type.split(';').next().unwrap_or_default().trim()
}

/// `Retry-After` in seconds or as a date (RFC 9110 §10.2.3), no longer than we believe it.
fn retry_after(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let pause = match text.parse::<u64>() {
        Ok(seconds) => Duration::from_secs(seconds),
        Err(_) => httpdate::parse_http_date(text).ok()?.duration_since(SystemTime::now()).unwrap_or_default(),
    };
    Some(pause.min(RETRY_AFTER_CEILING))
}

/// reqwest's own message repeats the URL and hides the reason.
fn innermost(error: &reqwest::Error) -> String {
    let mut error: &dyn std::error::Error = error;
    while let Some(source) = error.source() {
        error = source;
    }
    error.to_string()
}

/// Why the control plane could not be asked, or its answer not used.
#[derive(Debug, thiserror::Error)]
pub enum ControlError {
    /// TLS or the HTTP client could not be set up.
    #[error("cannot set up the connection to the control plane: {0}")]
    Client(String),
    /// No connection, or none that lasted.
    #[error("cannot reach the control plane at {url}: {problem}")]
    Unreachable {
        /// Where.
        url: String,
        /// Why.
        problem: String,
        /// Whether there was a connection, which ended before the answer did.
        broke_off: bool,
    },
    /// A connection and no answer.
    #[error("the control plane at {url} accepts connections and does not answer")]
    Silent {
        /// Where.
        url: String,
    },
    /// It says no.
    #[error("the control plane at {url} refuses ({status}): {message}")]
    Refused {
        /// Where.
        url: String,
        /// HTTP status.
        status: u16,
        /// Stable word for programs; empty if it gave none.
        code: String,
        /// Its words.
        message: String,
        /// How long it asks us to wait.
        retry_after: Option<Duration>,
    },
    /// Whatever answers there is no control plane of ours.
    #[error("what answers at {url} is no servos control plane, or something stands in between: {problem}")]
    Foreign {
        /// Where.
        url: String,
        /// What gave it away.
        problem: String,
    },
    /// More bytes than any true answer has.
    #[error("the control plane at {url} sends more than the {limit} bytes allowed")]
    TooLong {
        /// Where.
        url: String,
        /// Bytes.
        limit: usize,
    },
    /// A mesh state that does not parse.
    #[error("the control plane at {url} sends a mesh state that cannot be used; the present one stays")]
    State {
        /// Where.
        url: String,
        /// What is wrong with it.
        #[source]
        source: WireError,
    },
    /// A delta that cannot be used.
    #[error(
        "the control plane at {url} sends a change of the mesh that cannot be used; the whole is asked for: {problem}"
    )]
    Delta {
        /// Where.
        url: String,
        /// What is wrong with it.
        problem: String,
    },
}

impl ControlError {
    /// How long the control plane asks us to wait.
    pub fn retry_after(&self) -> Option<Duration> {
        match self {
            Self::Refused { retry_after, .. } => *retry_after,
            _ => None,
        }
    }

    /// Whether the control plane understood and said no: nothing was done, and asking again brings the same.
    pub fn is_final(&self) -> bool {
        matches!(self, Self::Refused { status, .. } if (400..500).contains(status) && ![408, 429].contains(status))
    }

    /// Whether our credential is not, or no longer, good.
    pub fn is_unauthorised(&self) -> bool {
        matches!(self, Self::Refused { status: 401 | 403, .. })
    }
}
