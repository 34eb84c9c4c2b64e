//! What a server says of itself: `PUT /api/v1/server/endpoint`, `PUT /api/v1/server/key`, `DELETE /api/v1/server`.

use axum::body::Body;
use axum::extract::{Extension, State as Extract};
use axum::http::StatusCode;
use servos_mesh::api::{EndpointReport, KeyRotation};
use tracing::{info, warn};

use super::caller::Caller;
use super::error::ApiError;
use super::{Source, State, body};
use crate::clock::UnixSeconds;
use crate::endpoint;
use crate::live::LiveError;
use crate::store::{KeyError, Rotated};

/// 204; the mesh changes only if the endpoint does.
pub(super) async fn set_endpoint(
    Extract(shared): State,
    Extension(Source(source)): Extension<Source>,
    caller: Caller,
    body: Body,
) -> Result<StatusCode, ApiError> {
    let report: EndpointReport = body::read(body, "endpoint report").await?;
    let Some(endpoint) = endpoint::resolve(&report, source)? else {
        return Ok(StatusCode::NO_CONTENT);
    };
    let holder = caller.holder;
    let changed = shared.live.change(move |store| {
        let revision = store.set_endpoint(holder, endpoint, UnixSeconds::now())?;
        Ok(((), revision.map(|revision| (holder.organisation, revision))))
    });
    changed.await?.map_err(LiveError::Store)?;
    Ok(StatusCode::NO_CONTENT)
}

/// 204; the mesh changes only if the key does.
pub(super) async fn set_key(Extract(shared): State, caller: Caller, body: Body) -> Result<StatusCode, ApiError> {
    let KeyRotation { public_key } = body::read(body, "key").await?;
    let holder = caller.holder;
    let changed = shared.live.change(move |store| {
        let rotated = store.set_key(holder, &public_key, UnixSeconds::now())?;
        let raised = rotated.as_ref().map(|rotated| (holder.organisation, rotated.revision));
        Ok::<_, KeyError>((rotated, raised))
    });
    if let Some(Rotated { organisation, server, previous_key, generation, .. }) = changed.await?? {
        // Whoever has a server's credential can take its place with this: an operator has to be able to see it.
        let generation = generation.number();
        warn!(organisation, server, %previous_key, %public_key, generation, "a server rotated its key");
    }
    Ok(StatusCode::NO_CONTENT)
}

/// 204; the credential is void at once.
pub(super) async fn leave(Extract(shared): State, caller: Caller) -> Result<StatusCode, ApiError> {
    let holder = caller.holder;
    let left = shared.live.change(move |store| {
        let revision = store.leave(holder, UnixSeconds::now())?;
        Ok(((), revision.map(|revision| (holder.organisation, revision))))
    });
    left.await?.map_err(LiveError::Store)?;
    shared.live.forget(&caller.hash);
    info!("a server left");
    Ok(StatusCode::NO_CONTENT)
}
