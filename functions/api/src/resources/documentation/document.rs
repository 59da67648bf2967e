//! `GET /openapi.json`: the OpenAPI document.

use axum::{
    Extension,
    http::header,
    response::{IntoResponse, Response},
};
use serde_json::{Map, Value};

use crate::{
    http::{error::ApiError, query::Query},
    openapi::Operation,
    resources::documentation::DocumentText,
};

/// Answers 200 with the document.
pub async fn document(
    Extension(DocumentText(text)): Extension<DocumentText>,
    query: Query,
) -> Result<Response, ApiError> {
    query.finish()?;
    Ok(([(header::CONTENT_TYPE, "application/json")], text()).into_response())
}

/// Describes the operation `getOpenApi`.
pub fn document_doc() -> Operation {
    Operation::new("getOpenApi", "about", "Returns this document")
        .text("The OpenAPI 3.1 document, generated from the code of the handlers.")
        .answers::<Map<String, Value>>(200, "The document.", Value::Null)
        .from_memory()
}
