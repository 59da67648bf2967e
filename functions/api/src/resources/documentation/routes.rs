//! Routes of the OpenAPI document and its page.

use crate::{
    auth::access::Access::Public,
    resources::documentation::{document, page},
    route::{Route, get},
};

/// Returns the routes of the document and its page.
pub fn table() -> Vec<Route> {
    vec![
        get(
            "/openapi.json",
            Public,
            document::document,
            document::document_doc,
        ),
        get("/docs", Public, page::page, page::page_doc),
        get("/docs/{file}", Public, page::file, page::file_doc),
    ]
}
