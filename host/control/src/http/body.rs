//! Reading a small JSON body: bounded in length and time.

use axum::body::Body;
use http_body_util::{BodyExt, LengthLimitError, Limited};
use serde::de::DeserializeOwned;
use servos_mesh::limits::MAX_JSON_BODY;

use super::error::ApiError;
use crate::limits::BODY_TIMEOUT;

/// Reads a body; `what` it should be is for the message.
pub(super) async fn read<T: DeserializeOwned>(body: Body, what: &str) -> Result<T, ApiError> {
    let whole = tokio::time::timeout(BODY_TIMEOUT, Limited::new(body, MAX_JSON_BODY).collect()).await;
    let bytes = match whole {
        Err(_) => return Err(ApiError::body_too_slow()),
        Ok(Err(error)) if error.is::<LengthLimitError>() => return Err(ApiError::body_too_long(MAX_JSON_BODY)),
        Ok(Err(_)) => return Err(ApiError::body_broke_off()),
        Ok(Ok(whole)) => whole.to_bytes(),
    };
    serde_json::from_slice(&bytes).map_err(|error| ApiError::malformed(what, &error))
}
