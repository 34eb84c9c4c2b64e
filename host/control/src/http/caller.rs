//! Who asks: the bearer of a request, and the server whose credential it is.

use std::sync::Arc;

use axum::extract::FromRequestParts;
use axum::http::HeaderMap;
use axum::http::header::AUTHORIZATION;
use axum::http::request::Parts;

use super::Shared;
use super::error::ApiError;
use crate::secrets::{self, SecretHash};
use crate::store::CredentialHolder;

/// A server that proved who it is.
#[derive(Clone, Copy)]
pub(super) struct Caller {
    pub hash: SecretHash,
    pub holder: CredentialHolder,
}

impl FromRequestParts<Arc<Shared>> for Caller {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, shared: &Arc<Shared>) -> Result<Self, ApiError> {
        let hash = bearer_hash(&parts.headers).ok_or_else(ApiError::unknown_credential)?;
        let holder = shared.live.holder(hash).await?.ok_or_else(ApiError::unknown_credential)?;
        Ok(Self { hash, holder })
    }
}

impl Caller {
    /// Whether the credential is still good: it may have been deleted while the request was held.
    pub(super) async fn is_good(&self, shared: &Shared) -> Result<bool, ApiError> {
        Ok(shared.live.holder(self.hash).await? == Some(self.holder))
    }
}

/// SHA-256 of the secret in `Authorization: Bearer …` (RFC 6750 §2.1); none if there is no such thing.
pub(super) fn bearer_hash(headers: &HeaderMap) -> Option<SecretHash> {
    let (scheme, bearer) = headers.get(AUTHORIZATION)?.to_str().ok()?.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| secrets::hash_of_bearer(bearer.trim()))?
}
