//! `GET /problems` and `GET /problems/{slug}`.

use axum::Json;
use serde_json::json;

use crate::{
    http::{
        error::ApiError,
        path::Path,
        problems::{self, PROBLEMS, ProblemType, find_problem},
        query::Query,
    },
    openapi::Operation,
};

/// Answers 200 with the pages of all types.
pub async fn list(query: Query) -> Result<Json<&'static [&'static ProblemType]>, ApiError> {
    query.finish()?;
    Ok(Json(PROBLEMS))
}

/// Answers 200 with the page of one type.
pub async fn show(
    Path(slug): Path<String>,
    query: Query,
) -> Result<Json<&'static ProblemType>, ApiError> {
    query.finish()?;
    find_problem(&slug).map(Json).ok_or_else(|| {
        ApiError::NotFound("there is no problem of this type; /problems lists all types".to_owned())
    })
}

/// Describes the operation `listProblems`.
pub fn list_doc() -> Operation {
    Operation::new("listProblems", "about", "Lists all types of problems")
        .answers::<Vec<ProblemType>>(200, "The pages of all types.", json!([problems::NOT_FOUND]))
        .from_memory()
}

/// Describes the operation `getProblem`.
pub fn show_doc() -> Operation {
    let slugs: Vec<_> = PROBLEMS.iter().map(|problem| problem.slug).collect();
    Operation::new("getProblem", "about", "Explains a type of problem")
        .text("The `type` of a problem document is the address of this page.")
        .path(
            "slug",
            json!({"type": "string", "enum": slugs}),
            "The last part of the problem's `type`.",
            json!("not-found"),
        )
        .answers::<ProblemType>(200, "The page of the type.", json!(problems::NOT_FOUND))
        .problems(&["not-found"])
        .from_memory()
}
