//! The OpenAPI 3.1 document of the API, made from the code: each handler has an [`Operation`] beside it, the table of routes
//! ([`crate::routes`]) puts method, path and permission to it, and [`common`] what every route of its kind answers. Schemas of answers are
//! derived from the types that are answered; those of bodies stand beside their parsers.
//!
//! # A new route
//!
//! 1. `#[derive(JsonSchema)]` on what it answers; `#[schemars(rename = "…")]` where another type has that name.
//! 2. Beside the handler a function that returns its [`Operation`]: a name that never changes, what it is about, query parameters, body,
//!    answers with an example each, and the slugs of the problems that are its own. A body's schema takes its limits from the parser's
//!    constants.
//! 3. A line in the table, which takes both: `get("/v1/things", Needs(Things), things::list, things::list_doc)`.
//! 4. Where an answer leads to other calls: a line in [`links`]. A parameter of a path by a new name: a line in [`parameters`].
//! 5. `make openapi` renews `docs/openapi.json`. `functions/api/tests/handlers/openapi.rs` carries the examples out; it has to know where
//!    the parameters of the path come from.
//!
//! The tests of the handlers hold every answer that they get against the document.
#![expect(
    clippy::needless_pass_by_value,
    reason = "what `json!` has made is nobody else's"
)]

mod common;
mod info;
pub mod links;
pub mod operation;
pub mod page;
pub mod parameters;
mod problems;
pub mod schemas;
pub mod serve;
#[cfg(test)]
mod tests;

use std::sync::LazyLock;

pub use operation::{Operation, Takes};
pub use schemas::{BatchCounts, CountsSchema};
use serde_json::{Map, Value, json};

use crate::routes::{Route, table};

/// The document, made when it is first asked for.
pub fn document() -> &'static Value {
    static DOCUMENT: LazyLock<Value> = LazyLock::new(|| make(&table()));
    &DOCUMENT
}

fn make(table: &[Route]) -> Value {
    let mut schemas = schemas::Schemas::none();
    let mut paths = Map::new();
    for route in table {
        let made = common::complete(route, (route.doc)(), &mut schemas);
        let path = paths.entry(route.path).or_insert_with(|| json!({}));
        path[route.method.as_str().to_lowercase()] = made;
    }
    let mut components = common::components();
    components["responses"] = Value::Object(std::mem::take(&mut schemas.answers));
    components["schemas"] = Value::Object(schemas.finish());
    json!({
        "openapi": "3.1.1",
        "info": info::info(),
        "servers": [{"url": "/"}],
        "tags": info::tags(),
        "security": [{"bearer": []}],
        "paths": paths,
        "components": components,
    })
}
