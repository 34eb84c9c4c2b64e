//! The status socket: HTTP over `/run/servos/agent.sock`, for the command line and for scrapers on this server. 0600.
//! It answers what is, and takes two orders: to rotate the key, and to ask a plugin again that was set aside.

use std::fs::Permissions;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use axum::extract::{FromRequestParts, Query};
use axum::http::StatusCode;
use axum::http::request::Parts;
use axum::routing::{get, post};
use axum::{Json, Router};
use parking_lot::Mutex;
use serde::Deserialize;
use serde_json::{Value, json};
use servos_sandbox::ResetError;
use tokio::net::UnixListener;
use tokio::time::{Instant, timeout_at};

use crate::error_chain::chain;
use crate::limits::{KEY_TRANSITION, MAX_KEY_TRANSITION, MIN_KEY_TRANSITION, ROTATE_KEY_WAIT};
use crate::report::Reporter;
use crate::rotation_handle::{KeyStatus, RotationError};

/// Binds the socket. A stale one is replaced: the agent's lock says that nobody else listens.
///
/// # Errors
///
/// What the system said.
pub fn bind(path: &Path) -> io::Result<UnixListener> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let listener = UnixListener::bind(path)?;
    std::fs::set_permissions(path, Permissions::from_mode(0o600))?;
    Ok(listener)
}

/// Who answers. The socket is there before the agent can tell anything of itself: whoever asks then hears why.
pub struct Desk {
    reporter: OnceLock<Arc<Reporter>>,
    /// What a start waits for, or what went wrong with it.
    awaited: Mutex<String>,
}

impl Desk {
    /// Nobody answers yet.
    pub fn new(awaited: &str) -> Arc<Self> {
        Arc::new(Self { reporter: OnceLock::new(), awaited: Mutex::new(awaited.to_owned()) })
    }

    /// Says what a start waits for.
    pub fn awaits(&self, what: String) {
        *self.awaited.lock() = what;
    }

    /// From now on it is `reporter` who answers.
    pub fn open(&self, reporter: Reporter) {
        // The first one stays.
        let _ = self.reporter.set(Arc::new(reporter));
    }
}

/// The reporter, for whoever asks after it came.
struct Open(Arc<Reporter>);

impl FromRequestParts<Arc<Desk>> for Open {
    type Rejection = (StatusCode, Json<Value>);

    async fn from_request_parts(_: &mut Parts, desk: &Arc<Desk>) -> Result<Self, Self::Rejection> {
        desk.reporter.get().cloned().map(Self).ok_or_else(|| {
            let error = format!("the agent is starting: {}", desk.awaited.lock());
            (StatusCode::SERVICE_UNAVAILABLE, Json(json!({ "error": error })))
        })
    }
}

/// Answers for ever.
///
/// # Errors
///
/// What the system said when the listener broke.
pub async fn serve(listener: UnixListener, desk: Arc<Desk>) -> io::Result<()> {
    let router = Router::new()
        .route("/status", get(|Open(reporter): Open| async move { Json(json!(reporter.status())) }))
        .route("/plan", get(|Open(reporter): Open| async move { Json(reporter.plan().await) }))
        .route("/peers", get(peers))
        .route("/services", get(|Open(reporter): Open| async move { Json(reporter.services()) }))
        .route("/plugins", get(|Open(reporter): Open| async move { Json(reporter.plugins()) }))
        .route("/plugins/reset", post(reset_plugin))
        .route("/lookup", get(lookup))
        .route("/rotate-key", post(rotate_key))
        .route("/rotate-key/finish", post(finish_rotation))
        .route("/metrics", get(|Open(reporter): Open| async move { reporter.metrics() }))
        .with_state(desk);
    axum::serve(listener, router).await
}

#[derive(Deserialize)]
struct PeersQuery {
    #[serde(default)]
    all: bool,
}

async fn peers(Open(reporter): Open, Query(query): Query<PeersQuery>) -> Json<Value> {
    Json(reporter.peers(query.all))
}

#[derive(Deserialize)]
struct LookupQuery {
    name: String,
}

async fn lookup(Open(reporter): Open, Query(query): Query<LookupQuery>) -> Json<Value> {
    let found = tokio::task::spawn_blocking(move || reporter.lookup(&query.name)).await;
    Json(found.unwrap_or_else(|error| json!({ "error": error.to_string() })))
}

#[derive(Deserialize)]
struct RotateQuery {
    /// Seconds.
    transition: Option<u64>,
    /// Seconds that the answer may wait for the mesh to have the key.
    #[serde(default)]
    wait: u64,
}

type Ordered = Result<Json<Value>, (StatusCode, Json<Value>)>;

async fn rotate_key(Open(reporter): Open, Query(query): Query<RotateQuery>) -> Ordered {
    let transition = query.transition.map_or(KEY_TRANSITION, Duration::from_secs);
    let transition = transition.clamp(MIN_KEY_TRANSITION, MAX_KEY_TRANSITION);
    let until = Instant::now() + Duration::from_secs(query.wait).min(ROTATE_KEY_WAIT);
    let begun = reporter.key_rotation.begin(transition).await.map_err(refusal)?;
    let in_mesh = timeout_at(until, reporter.key_rotation.in_mesh(begun.next_key)).await.unwrap_or(false);
    let KeyStatus { rotation, problem } = reporter.key_rotation.status();
    Ok(Json(json!({ "in_mesh": in_mesh, "rotation": rotation.unwrap_or(begun), "problem": problem })))
}

async fn finish_rotation(Open(reporter): Open) -> Ordered {
    let public_key = reporter.key_rotation.finish().await.map_err(refusal)?;
    Ok(Json(json!({ "public_key": public_key })))
}

#[derive(Deserialize)]
struct PluginQuery {
    name: String,
}

async fn reset_plugin(Open(reporter): Open, Query(query): Query<PluginQuery>) -> Ordered {
    let reset = reporter.reset_plugin(&query.name).map(Json);
    reset.map_err(|error| {
        let status = match error {
            ResetError::Unknown(_) => StatusCode::NOT_FOUND,
            ResetError::NotLoaded(_) => StatusCode::CONFLICT,
        };
        (status, Json(json!({ "error": error.to_string() })))
    })
}

fn refusal(error: RotationError) -> (StatusCode, Json<Value>) {
    let status = if error.is_conflict() { StatusCode::CONFLICT } else { StatusCode::BAD_GATEWAY };
    (status, Json(json!({ "error": chain(&error) })))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cli::socket_client;

    #[tokio::test]
    async fn who_asks_an_agent_that_starts_hears_what_it_waits_for() {
        let folder = tempfile::tempdir().expect("a folder");
        let path = folder.path().join("agent.sock");
        let desk = Desk::new("plugins are compiled");
        tokio::spawn(serve(bind(&path).expect("a socket"), desk.clone()));
        let error = socket_client::get(&path, "/status").await.expect_err("too early").to_string();
        assert_eq!(error, "the agent is starting: plugins are compiled");
        desk.awaits("no memory".to_owned());
        let ordered = socket_client::post(&path, "/rotate-key", Duration::from_secs(5)).await;
        assert_eq!(ordered.expect_err("too early").to_string(), "the agent is starting: no memory");
    }
}
