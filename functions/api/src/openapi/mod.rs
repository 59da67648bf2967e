//! The OpenAPI 3.1 document of the API, generated from the code.
//!
//! Each handler has an [`Operation`] beside it, and each route has an [`Endpoint`] with its method,
//! path and access rule. The module `common` adds what all routes of a kind have. Schemas of
//! answers are derived from their types; schemas of bodies are written beside their parsers. This
//! folder imports no resource: [`crate::routes`] passes in what the resources describe.
//!
//! # A new route
//!
//! 1. Derive `JsonSchema` for the type of the answer; use `#[schemars(rename = "…")]` if another
//!    type has the same name.
//! 2. Beside the handler, write a function that returns its [`Operation`]: a name that never
//!    changes, a tag, query parameters, the body, the answers with one example each, and the slugs
//!    of the problems that are specific to it. The schema of a body uses the parser's constants as
//!    limits. An object within a body gets its name in the document from a `title` ([`generators`]).
//! 3. Add a line to the resource's `routes.rs`:
//!    `get("/v1/users", Requires(Users), list::list, list::list_doc)`.
//! 4. If an answer leads to other calls, add a line to [`links`]. If the path has a parameter with
//!    a new name, describe it with [`Operation::path`].
//! 5. Regenerate `docs/openapi.json` with `make openapi`. `functions/api/tests/handlers/openapi.rs`
//!    executes the examples; add the values of new path parameters there.
//!
//! The handler tests compare each answer that they receive with the document.
#![expect(
    clippy::needless_pass_by_value,
    reason = "values from `json!` have no other owner"
)]

mod common;
mod endpoint;
mod generators;
mod info;
pub mod links;
pub mod operation;
pub mod parameters;
mod problems;
pub mod schemas;
#[cfg(test)]
mod tests;

pub use endpoint::Endpoint;
pub use operation::{Operation, Takes};
pub use problems::ProblemMembers;
pub use schemas::{BatchCounts, CountsSchema};
use serde_json::{Map, Value, json};

use crate::openapi::problems::ProblemAnswers;

/// Generates the document of these routes. `problem_members` are the members that the resources add
/// to problem documents.
pub fn document(endpoints: &[Endpoint], problem_members: &[ProblemMembers]) -> Value {
    let mut schemas = schemas::Schemas::empty();
    let mut problem_answers = ProblemAnswers::new(problem_members);
    let mut paths = Map::new();
    for endpoint in endpoints {
        let operation = common::complete(endpoint, &mut problem_answers, &mut schemas);
        let path = paths.entry(endpoint.path).or_insert_with(|| json!({}));
        path[endpoint.method.as_str().to_lowercase()] = operation;
    }
    let mut components = common::components();
    components["responses"] = Value::Object(problem_answers.finish());
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
