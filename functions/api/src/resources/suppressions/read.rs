//! `GET /v1/suppressions` and `GET /v1/suppressions/{phone}`.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::message::phone::Phone;

use crate::{
    App,
    http::{
        error::ApiError,
        path::Path,
        query::{LONG_LIMIT, Query},
    },
    openapi::{Operation, parameters},
    resources::suppressions::{
        SOURCE, example, is_source, no_such_suppression, phone_of, source_schema,
        store::{Suppression, find_suppression, page_of_suppressions},
    },
};

/// A page of suppressions.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SuppressionPage")]
pub struct Page {
    suppressions: Vec<Suppression>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// Returns 200 with a page, in the order of the numbers' digits.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Page>, ApiError> {
    let source = query.text("source");
    if source.as_deref().is_some_and(|source| !is_source(source)) {
        query.complain("source", "not-a-source", SOURCE);
    }
    let limit = query.limit(LONG_LIMIT);
    let read = |cursor: &str| {
        cursor
            .strip_prefix('x')
            .and_then(|digits| Phone::parse(&format!("+{digits}")).ok())
    };
    let after = query
        .cursor(read)
        .map(|phone| phone.to_string())
        .unwrap_or_default();
    query.finish()?;
    let suppressions = page_of_suppressions(
        &mut *app.db.acquire().await?,
        source.as_deref(),
        &after,
        limit,
    )
    .await?;
    let last = suppressions
        .last()
        .filter(|_| suppressions.len() == limit as usize);
    let next_cursor = last.map(|last| format!("x{}", last.phone.trim_start_matches('+')));
    Ok(Json(Page {
        suppressions,
        next_cursor,
    }))
}

/// Returns 200 with the row, or 404 if the number is not suppressed.
pub async fn show(
    State(app): State<App>,
    Path(phone): Path<String>,
    query: Query,
) -> Result<Json<Suppression>, ApiError> {
    query.finish()?;
    let found = find_suppression(&mut *app.db.acquire().await?, phone_of(&phone)?).await?;
    found.map(Json).ok_or_else(no_such_suppression)
}

/// Describes `GET /v1/suppressions` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listSuppressions", "suppressions", "List suppressions")
        .text("In the order of the numbers' digits.")
        .query(
            "source",
            source_schema(),
            "Only suppressions from this source.",
        )
        .queries(parameters::page(LONG_LIMIT))
        .answers::<Page>(
            200,
            "A page.",
            json!({"suppressions": [example()], "next_cursor": null}),
        )
}

/// Describes `GET /v1/suppressions/{phone}` in the OpenAPI document.
pub fn show_doc() -> Operation {
    Operation::new("getSuppression", "suppressions", "Get a suppression")
        .answers::<Suppression>(200, "The number is suppressed.", example())
        .problems(&["not-found"])
}
