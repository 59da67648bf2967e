//! Parameters of a path. A parameter that is not valid UTF-8 is reported as a problem document.

use axum::{extract::FromRequestParts, http::request::Parts};
use serde::de::DeserializeOwned;

use crate::http::error::ApiError;

/// Extracts the parameters, in their order.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = ApiError;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, ApiError> {
        let read = axum::extract::Path::<T>::from_request_parts(parts, state).await;
        let explain =
            |_| ApiError::Malformed("expected a path in UTF-8, percent-encoded".to_owned());
        read.map(|axum::extract::Path(parameters)| Self(parameters))
            .map_err(explain)
    }
}
