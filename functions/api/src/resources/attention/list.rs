//! `GET /v1/attention/{kind}`: lists all schedules of one kind, page by page. A schedule may move in
//! the order of its list between two pages, so only the first page is reliable.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use sqlx::MySqlConnection;

use crate::{
    App,
    http::{
        error::ApiError,
        page::PageRequest,
        path::Path,
        query::{LIMIT, Query},
        transaction::transaction,
    },
    openapi::{Operation, parameters},
    resources::{
        attention::{
            entry::{AttentionEntry, example, read_entries},
            page::{Position, Sort, page_of},
            read_all,
        },
        schedules::attention::Kind,
    },
};

/// A page of entries.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AttentionPage")]
pub struct Page {
    /// The kind.
    #[schemars(extend("enum" = Kind::ALL.map(Kind::as_str)))]
    pub kind: &'static str,
    /// The schedules of this kind, on all pages.
    pub count: u64,
    /// The recipients that they affect together.
    pub people: u64,
    /// The entries of this page.
    pub entries: Vec<AttentionEntry>,
    /// The cursor of the next page; null on the last page.
    pub next_cursor: Option<String>,
}

/// Returns 200 with a page.
pub async fn list(
    State(app): State<App>,
    Path(kind): Path<String>,
    mut query: Query,
) -> Result<Json<Page>, ApiError> {
    let known = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    let kind = known.ok_or_else(|| {
        let kinds: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        ApiError::NotFound(format!(
            "there is no such list; expected one of: {}, dead-letters",
            kinds.join(", ")
        ))
    })?;
    let sort = query
        .choice("sort", &Sort::ALL, Sort::as_str)
        .unwrap_or_default();
    let limit = query.limit(LIMIT);
    let after = query.cursor(Position::read);
    query.finish()?;
    let (now, request) = (app.db.now(), PageRequest { after, limit });
    let page = transaction(&app.db, |transaction| {
        Box::pin(read_page(transaction, kind, sort, request, now))
    });
    Ok(Json(page.await?))
}

/// Reads a page of a kind, after a position in its order.
pub async fn read_page(
    connection: &mut MySqlConnection,
    kind: Kind,
    sort: Sort,
    request: PageRequest<Option<Position>>,
    now: DateTime<Utc>,
) -> Result<Page, ApiError> {
    let all = read_all(kind, connection, now).await?;
    let count = all.len() as u64;
    let people = all.iter().map(|affected| affected.people).sum();
    let (page, next) = page_of(all, sort, request);
    Ok(Page {
        kind: kind.as_str(),
        count,
        people,
        entries: read_entries(connection, kind, &page).await?,
        next_cursor: next.map(Position::write),
    })
}

/// Describes `GET /v1/attention/{kind}` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listAttention", "attention", "List the schedules that need an operator, of one kind")
        .text("Each entry has the calls that resolve it. A schedule may move between two pages, so only the first page is reliable.")
        .path("kind", json!({"type": "string", "enum": Kind::ALL.map(Kind::as_str)}), "The kind.", json!("uncertain"))
        .query(
            "sort",
            json!({"type": "string", "enum": Sort::ALL.map(Sort::as_str), "default": Sort::default().as_str()}),
            "The member to sort by; a minus: the greatest first.",
        )
        .queries(parameters::page(LIMIT))
        .answers::<Page>(200, "A page.", json!({"kind": "missed", "count": 1, "people": 2, "entries": [example()], "next_cursor": null}))
        .problems(&["not-found"])
}
