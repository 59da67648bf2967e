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

/// A page.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SuppressionPage")]
pub struct Page {
    suppressions: Vec<Suppression>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// 200 with a page, in the order of the numbers' digits.
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
        &mut *app.db.pool.acquire().await?,
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

/// 200 with the row; 404: nobody has opted out with this number.
pub async fn show(
    State(app): State<App>,
    Path(phone): Path<String>,
    query: Query,
) -> Result<Json<Suppression>, ApiError> {
    query.finish()?;
    let found = find_suppression(&mut *app.db.pool.acquire().await?, phone_of(&phone)?).await?;
    found.map(Json).ok_or_else(no_such_suppression)
}

/// For the document.
pub fn list_doc() -> Operation {
    Operation::new("listSuppressions", "suppressions", "Who has opted out")
        .text("In the order of the numbers' digits.")
        .query("source", source_schema(), "Only those of this source.")
        .queries(parameters::page(LONG_LIMIT))
        .answers::<Page>(
            200,
            "A page.",
            json!({"suppressions": [example()], "next_cursor": null}),
        )
}

/// Likewise.
pub fn show_doc() -> Operation {
    Operation::new(
        "getSuppression",
        "suppressions",
        "Whether a number has opted out",
    )
    .answers::<Suppression>(200, "It has.", example())
    .problems(&["not-found"])
}
