//! `GET /v1/suppressions` and `GET /v1/suppressions/{phone}`.

use axum::{Json, extract::State};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json};
use shared::message::phone::Phone;
use sqlx::MySqlConnection;

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
        store::{LaterNote, Suppression, find_suppression, notes_of, page_of_suppressions},
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

/// A suppression, with what was given later.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "SuppressionWithNotes")]
pub struct SuppressionView {
    #[serde(flatten)]
    suppression: Suppression,
    /// Reasons that were given after the first, the newest first, at most 50.
    notes: Vec<LaterNote>,
}

/// Reads a suppression with its notes. `None`: the number is not suppressed.
pub async fn find_view(
    connection: &mut MySqlConnection,
    phone: Phone,
) -> sqlx::Result<Option<SuppressionView>> {
    let Some(suppression) = find_suppression(connection, phone).await? else {
        return Ok(None);
    };
    let notes = notes_of(connection, phone).await?;
    Ok(Some(SuppressionView { suppression, notes }))
}

/// Reads a suppression with its notes. Fails with 404 if the number is not suppressed.
pub async fn read_view(
    connection: &mut MySqlConnection,
    phone: Phone,
) -> Result<SuppressionView, ApiError> {
    find_view(connection, phone)
        .await?
        .ok_or_else(no_such_suppression)
}

/// Returns an example of [`SuppressionView`].
pub fn view_example() -> Value {
    let mut view = example();
    let note = json!({"reason": "STOP", "source": "sms", "created_at": "2026-12-02T01:00:00Z", "created_by": example()["created_by"]});
    view["notes"] = json!([note]);
    view
}

/// Returns 200 with the row, or 404 if the number is not suppressed.
pub async fn show(
    State(app): State<App>,
    Path(phone): Path<String>,
    query: Query,
) -> Result<Json<SuppressionView>, ApiError> {
    query.finish()?;
    let phone = phone_of(&phone)?;
    let view = read_view(&mut *app.db.acquire().await?, phone).await?;
    Ok(Json(view))
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
        .answers::<SuppressionView>(200, "The number is suppressed.", view_example())
        .problems(&["not-found"])
}
