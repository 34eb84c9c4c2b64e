//! `GET /api/v1/mesh/config`: the mesh, what changed in it, or that nothing did; held until it does if asked to.

use axum::body::{Body, Bytes};
use axum::extract::State as Extract;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE, ETAG, IF_NONE_MATCH, VARY};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Response, StatusCode};
use rand::Rng;
use servos_mesh::Revision;
use servos_mesh::api::{A_IM, DELTA_BASE, DELTA_MANIPULATION, IM, MESH_DELTA_TYPE, MESH_STATE_TYPE};
use tokio::time::{Duration, Instant};

use super::caller::Caller;
use super::error::ApiError;
use super::if_none_match::IfNoneMatch;
use super::{State, a_im, prefer, stopped};
use crate::limits::{MAX_WAIT, WAIT_JITTER};
use crate::live::EncodedState;

const PREFERENCE_APPLIED: HeaderName = HeaderName::from_static("preference-applied");

/// 200 with the whole mesh, 226 with what changed since what the client has, or 304.
pub(super) async fn mesh_config(
    Extract(shared): State,
    caller: Caller,
    headers: HeaderMap,
) -> Result<Response<Body>, ApiError> {
    let organisation = shared.live.organisation(caller.holder.organisation);
    let organisation = organisation.ok_or_else(ApiError::unknown_credential)?;
    let known = IfNoneMatch::parse(headers.get_all(IF_NONE_MATCH).iter().map(HeaderValue::as_bytes));
    let takes_deltas = a_im::accepts(headers.get_all(A_IM).iter().map(HeaderValue::as_bytes), DELTA_MANIPULATION);
    let wait = prefer::wait(headers.get_all("prefer").iter().map(HeaderValue::as_bytes));
    let wait = wait.map(|wait| wait.min(MAX_WAIT)).filter(|wait| !wait.is_zero());
    let until = wait.map(|wait| Instant::now() + jittered(wait));

    // Subscribed before the first look, so that no change falls between the two.
    let mut revisions = organisation.subscribe();
    let mut stopping = shared.stopping.clone();
    let mut held = None;
    loop {
        revisions.borrow_and_update();
        let mut revision = organisation.revision().ok_or_else(ApiError::unknown_credential)?;
        if !known.matches(&revision.etag()) {
            let state = shared.live.state(&organisation).await?;
            // What was encoded may be ahead of what was announced, and be what the server knows.
            if !known.matches(&state.revision.etag()) {
                let delta = if takes_deltas { delta_for(&known, &state).await } else { None };
                return Ok(match delta {
                    Some((base, delta)) => changed(&state, base, delta, held),
                    None => whole(&state, held),
                });
            }
            revision = state.revision;
        } else if takes_deltas && !organisation.is_encoded() {
            // What changes next can be told only from a revision that was encoded. If that fails, nothing changed
            // all the same.
            drop(shared.live.state(&organisation).await);
        }
        let Some(until) = until else { return Ok(unchanged(revision, None)) };
        tokio::select! {
            _ = revisions.changed() => {
                if !caller.is_good(&shared).await? {
                    return Err(ApiError::unknown_credential());
                }
                held = wait;
            }
            // Not held for as long as asked: the server then waits a little before it asks again.
            () = stopped(&mut stopping) => return Ok(unchanged(revision, None)),
            () = tokio::time::sleep_until(until) => return Ok(unchanged(revision, wait)),
        }
    }
}

/// Polls that began together end apart.
fn jittered(wait: Duration) -> Duration {
    wait.mul_f64(rand::rng().random_range(1.0 - WAIT_JITTER..=1.0))
}

fn whole(state: &EncodedState, held: Option<Duration>) -> Response<Body> {
    let mut response = Response::new(Body::from(state.body.clone()));
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(MESH_STATE_TYPE));
    describe(&mut response, state.revision, held);
    response
}

/// The delta from the latest revision that the client has and that is remembered.
async fn delta_for(known: &IfNoneMatch, state: &EncodedState) -> Option<(Revision, Bytes)> {
    let revisions = known.strong().filter_map(|tag| Revision::from_etag(std::str::from_utf8(tag).ok()?).ok());
    let base = revisions.filter(|base| state.is_remembered(*base)).max()?;
    Some((base, state.delta_from(base).await?))
}

/// 226 (RFC 3229 §10.4.1). Not to be stored: a private cache that does not know the status may keep the answer and hand
/// it out later as the mesh (RFC 9111 §3).
fn changed(state: &EncodedState, base: Revision, delta: Bytes, held: Option<Duration>) -> Response<Body> {
    let mut response = Response::new(Body::from(delta));
    *response.status_mut() = StatusCode::IM_USED;
    let headers = response.headers_mut();
    headers.insert(CONTENT_TYPE, HeaderValue::from_static(MESH_DELTA_TYPE));
    headers.insert(IM, HeaderValue::from_static(DELTA_MANIPULATION));
    if let Ok(tag) = HeaderValue::from_str(&base.etag()) {
        headers.insert(DELTA_BASE, tag);
    }
    describe(&mut response, state.revision, held);
    response.headers_mut().insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn unchanged(revision: Revision, held: Option<Duration>) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = StatusCode::NOT_MODIFIED;
    describe(&mut response, revision, held);
    response
}

/// What 200, 226 and 304 say (RFC 9110 §15.4.5).
fn describe(response: &mut Response<Body>, revision: Revision, held: Option<Duration>) {
    let headers = response.headers_mut();
    if let Ok(tag) = HeaderValue::from_str(&revision.etag()) {
        headers.insert(ETAG, tag);
    }
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("private, no-cache"));
    headers.insert(VARY, HeaderValue::from_static("authorization"));
    if let Some(wait) = held
        && let Ok(applied) = HeaderValue::from_str(&format!("wait={}", wait.as_secs()))
    {
        headers.insert(PREFERENCE_APPLIED, applied);
    }
}
