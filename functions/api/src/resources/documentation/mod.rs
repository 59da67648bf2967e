//! `/openapi.json` and `/docs`: the OpenAPI document, and a page that shows it.

pub mod document;
pub mod page;
pub mod routes;

use axum::body::Bytes;

/// Returns the document as text. The router passes it to the handler as an extension, because the
/// document describes all routes and is therefore built by [`crate::routes`].
#[derive(Clone, Copy)]
pub struct DocumentText(pub fn() -> Bytes);
