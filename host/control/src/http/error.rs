//! Every refusal of the API: HTTP status, stable code, a message that says what to do. What the store or a worker refuses
//! keeps its own words; all others stand here.

use axum::Json;
use axum::http::header::{CACHE_CONTROL, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};
use servos_mesh::api::ErrorBody;
use tracing::error;

use crate::endpoint::EndpointError;
use crate::limits::BUSY_RETRY_AFTER;
use crate::live::{LiveError, PublishError, WorkerError};
use crate::store::{EnrolError, KeyError};

/// A refusal.
#[derive(Debug)]
pub(super) struct ApiError {
    status: StatusCode,
    code: &'static str,
    message: String,
    /// Seconds.
    retry_after: Option<u32>,
}

impl ApiError {
    fn new(status: StatusCode, code: &'static str, message: impl ToString) -> Self {
        Self { status, code, message: message.to_string(), retry_after: None }
    }

    pub(super) fn unknown_token() -> Self {
        EnrolError::UnknownToken.into()
    }

    pub(super) fn unknown_credential() -> Self {
        let message = "this credential is nobody's: the server was deleted, or never joined; \
                       run `servos-agent decommission --force` and commission it again";
        Self::new(StatusCode::UNAUTHORIZED, "unknown-credential", message)
    }

    pub(super) fn too_many_attempts(retry_after: u32) -> Self {
        let message = format!("too many failed enrolments from this network: try again in {retry_after} s");
        let refusal = Self::new(StatusCode::TOO_MANY_REQUESTS, "too-many-attempts", message);
        Self { retry_after: Some(retry_after), ..refusal }
    }

    pub(super) fn malformed(what: &str, error: &serde_json::Error) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", format!("the body is no {what}: {error}"))
    }

    pub(super) fn body_too_long(limit: usize) -> Self {
        let message = format!("the body is longer than the {limit} bytes allowed");
        Self::new(StatusCode::PAYLOAD_TOO_LARGE, "body-too-long", message)
    }

    pub(super) fn body_broke_off() -> Self {
        Self::new(StatusCode::BAD_REQUEST, "malformed-request", "the body broke off: send it again")
    }

    pub(super) fn body_too_slow() -> Self {
        Self::new(StatusCode::REQUEST_TIMEOUT, "request-timeout", "the body did not arrive in time: send it again")
    }

    pub(super) fn blind() -> Self {
        let message = "changes of the database are not seen: see the control plane's log";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, "unhealthy", message)
    }

    pub(super) fn no_such_path(uri: &Uri) -> Self {
        let path: String = uri.path().chars().take(80).collect();
        let message = format!("there is nothing at {path}: is the agent of another version than this control plane?");
        Self::new(StatusCode::NOT_FOUND, "not-found", message)
    }

    pub(super) fn no_such_method(method: &Method, uri: &Uri) -> Self {
        let message = format!("{} does not take {method}", uri.path());
        Self::new(StatusCode::METHOD_NOT_ALLOWED, "method-not-allowed", message)
    }
}

impl From<EnrolError> for ApiError {
    fn from(error: EnrolError) -> Self {
        let (status, code) = match &error {
            EnrolError::UnknownToken => (StatusCode::UNAUTHORIZED, "unknown-token"),
            EnrolError::TokenRevoked => (StatusCode::FORBIDDEN, "token-revoked"),
            EnrolError::TokenExpired => (StatusCode::FORBIDDEN, "token-expired"),
            EnrolError::TokenUsedUp => (StatusCode::FORBIDDEN, "token-used-up"),
            EnrolError::NameTaken(_) | EnrolError::NameOfResource(_) => (StatusCode::CONFLICT, "name-taken"),
            EnrolError::KeyTaken => (StatusCode::CONFLICT, "key-taken"),
            EnrolError::Exhausted(_) => (StatusCode::CONFLICT, "addresses-exhausted"),
            EnrolError::Store(_) => return Self::internal(&error),
        };
        Self::new(status, code, error)
    }
}

impl From<KeyError> for ApiError {
    fn from(error: KeyError) -> Self {
        match &error {
            KeyError::Taken => Self::new(StatusCode::CONFLICT, "key-taken", error),
            KeyError::Store(_) => Self::internal(&error),
        }
    }
}

impl From<EndpointError> for ApiError {
    fn from(error: EndpointError) -> Self {
        Self::new(StatusCode::BAD_REQUEST, "invalid-endpoint", error)
    }
}

impl From<LiveError> for ApiError {
    fn from(error: LiveError) -> Self {
        match error {
            LiveError::Worker(WorkerError::Busy) | LiveError::Publish(PublishError::Worker(WorkerError::Busy)) => {
                let refusal = Self::new(StatusCode::SERVICE_UNAVAILABLE, "busy", WorkerError::Busy);
                Self { retry_after: Some(BUSY_RETRY_AFTER), ..refusal }
            }
            LiveError::Publish(PublishError::Gone) => Self::unknown_credential(),
            other => Self::internal(&other),
        }
    }
}

impl ApiError {
    /// The cause is for the log: it may name files of this machine.
    fn internal(error: &(dyn std::error::Error + 'static)) -> Self {
        error!(error, "a request failed");
        let message = "the control plane failed: see its log; nothing was changed";
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, "internal", message)
    }
}

impl IntoResponse for ApiError {
    fn into_response(self) -> Response {
        let body = ErrorBody { code: self.code.to_owned(), message: self.message };
        let mut response = (self.status, Json(body)).into_response();
        let headers = response.headers_mut();
        headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
        if self.status == StatusCode::UNAUTHORIZED {
            headers.insert(WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
        }
        if let Some(seconds) = self.retry_after {
            headers.insert(RETRY_AFTER, HeaderValue::from(seconds));
        }
        response
    }
}
