//! `GET /openapi.json`: the document.

use std::sync::LazyLock;

use axum::{
    body::Bytes,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use crate::http::{error::ApiError, query::Query};
use crate::openapi::{Operation, document};

/// 200 with the document, which is written once.
pub async fn openapi(query: Query) -> Result<Response, ApiError> {
    static WRITTEN: LazyLock<Bytes> = LazyLock::new(|| document().to_string().into());
    query.finish()?;
    Ok((
        [(header::CONTENT_TYPE, "application/json")],
        WRITTEN.clone(),
    )
        .into_response())
}

/// For the document.
pub fn openapi_doc() -> Operation {
    Operation::new("getOpenApi", "about", "This document")
        .text("OpenAPI 3.1, made from the code that answers.")
        .answers::<Map<String, Value>>(200, "The document.", Value::Null)
        .from_memory()
}
