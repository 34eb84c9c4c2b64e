//! `POST /api/v1/enrol`: a server joins.

use axum::Json;
use axum::body::Body;
use axum::extract::{Extension, State as Extract};
use axum::http::header::CACHE_CONTROL;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use servos_mesh::api::{EnrolRequest, EnrolResponse};
use tokio::time::Instant;
use tracing::{info, warn};

use super::caller::bearer_hash;
use super::error::ApiError;
use super::{Source, State, body};
use crate::clock::UnixSeconds;
use crate::endpoint;
use crate::secrets;
use crate::store::{EnrolError, Joining};

/// 201 and the server's credential.
pub(super) async fn enrol(
    Extract(shared): State,
    Extension(Source(source)): Extension<Source>,
    headers: HeaderMap,
    body: Body,
) -> Result<Response, ApiError> {
    if let Some(pause) = shared.throttle.pause(source, Instant::now()) {
        return Err(ApiError::too_many_attempts(pause));
    }
    let Some(hash) = bearer_hash(&headers) else {
        shared.throttle.failed(source, Instant::now());
        return Err(ApiError::unknown_token());
    };
    let request: EnrolRequest = body::read(body, "enrolment request").await?;
    let endpoint = endpoint::resolve(&request.endpoint, source)?;
    let EnrolRequest { name, public_key, .. } = request;
    let joining = Joining { name: name.clone(), public_key, endpoint };
    let enrolled = shared.live.change(move |store| {
        let enrolled = store.enrol(&hash, &joining, UnixSeconds::now())?;
        let raised = (enrolled.organisation, enrolled.revision);
        Ok((enrolled, Some(raised)))
    });
    let enrolled = match enrolled.await? {
        Ok(enrolled) => enrolled,
        Err(refusal) => {
            if is_failed_attempt(&refusal) {
                shared.throttle.failed(source, Instant::now());
            }
            warn!(%source, %name, reason = %refusal, "enrolment refused");
            return Err(refusal.into());
        }
    };
    info!(organisation = enrolled.organisation_name, %name, address = %enrolled.address, "server enrolled");
    let answer = EnrolResponse {
        organisation: enrolled.organisation_name,
        name,
        address: enrolled.address,
        domain: enrolled.domain,
        credential: secrets::credential_text(&enrolled.credential).to_string(),
    };
    Ok((StatusCode::CREATED, [(CACHE_CONTROL, "no-store")], Json(answer)).into_response())
}

/// Whether the token was at fault, and not what the server asked for.
fn is_failed_attempt(refusal: &EnrolError) -> bool {
    matches!(
        refusal,
        EnrolError::UnknownToken | EnrolError::TokenRevoked | EnrolError::TokenExpired | EnrolError::TokenUsedUp
    )
}
