//! A route as the document describes it.

use axum::http::Method;

use crate::{auth::access::Access, http::idempotency::StoredAnswer, openapi::Operation};

/// One method of one path: everything except the handler.
#[derive(Clone)]
pub struct Endpoint {
    /// The method. GET also answers HEAD.
    pub method: Method,
    /// The path in axum's notation, such as `/v1/users/{id}`.
    pub path: &'static str,
    /// The access rule.
    pub access: Access,
    /// Returns the description of the operation.
    pub operation: fn() -> Operation,
    /// The part that is stored of the answer to a request with an `Idempotency-Key`. `None`: the
    /// route does not accept the header.
    pub stored_answer: Option<StoredAnswer>,
}
