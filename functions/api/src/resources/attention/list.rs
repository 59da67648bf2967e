//! `GET /v1/attention/{kind}`: lists all entries of one kind, page by page. An entry may move in
//! the order of its list between two pages, so only the first page is reliable.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::schedule::status::ScheduleStatus;
use sqlx::MySqlConnection;
use uuid::Uuid;

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
            Kind, batches,
            entry::{AttentionEntry, example},
            read_cursor, schedules,
            store::{
                ListPosition, missed_batches, overdue_batches, overdue_schedules, parked_batches,
                paused_by_system, uncertain_batches,
            },
            write_cursor,
        },
        schedules::store::lists::{ScheduleFilter, page_of_schedules},
    },
};

/// A page of entries.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "AttentionPage")]
pub struct Page {
    /// The kind.
    #[schemars(extend("enum" = Kind::ALL.map(Kind::as_str)))]
    pub kind: &'static str,
    /// The entries.
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
    let limit = query.limit(LIMIT);
    let after = query.cursor(read_cursor).unwrap_or(ListPosition::START);
    query.finish()?;
    let now = app.db.now();
    let page = transaction(&app.db, |transaction| {
        Box::pin(read_page(
            transaction,
            kind,
            PageRequest { after, limit },
            now,
        ))
    });
    Ok(Json(page.await?))
}

/// Reads a page of a kind, after a position in its order.
pub async fn read_page(
    connection: &mut MySqlConnection,
    kind: Kind,
    request: PageRequest<ListPosition>,
    now: DateTime<Utc>,
) -> Result<Page, ApiError> {
    let PageRequest { after, limit } = request;
    let positions = match kind {
        Kind::MissedBatches => missed_batches(connection, after, limit).await?,
        Kind::ParkedBatches => parked_batches(connection, after, limit, now).await?,
        Kind::Uncertain => uncertain_batches(connection, after, limit, now).await?,
        Kind::Overdue => overdue_batches(connection, after, limit, now).await?,
        Kind::OverdueSchedules => overdue_schedules(connection, after, limit, now).await?,
        Kind::MissedSchedules => {
            let missed = ScheduleFilter {
                status: Some(ScheduleStatus::Missed),
                ..ScheduleFilter::default()
            };
            positions_of(page_of_schedules(connection, missed, before(after), limit).await?)
        }
        Kind::Paused => positions_of(paused_by_system(connection, before(after), limit).await?),
    };
    let entries = match kind {
        Kind::MissedSchedules | Kind::OverdueSchedules | Kind::Paused => {
            let ids: Vec<_> = positions
                .iter()
                .map(|position| position.schedule_id)
                .collect();
            schedules::entries(connection, kind, &ids).await?
        }
        _ => batches::entries(connection, kind, &positions).await?,
    };
    let last = positions
        .last()
        .filter(|_| positions.len() == limit as usize);
    Ok(Page {
        kind: kind.as_str(),
        entries,
        next_cursor: last.copied().map(write_cursor),
    })
}

/// Returns the id below which a list in the order of ids, newest first, continues.
fn before(after: ListPosition) -> Uuid {
    if after == ListPosition::START {
        Uuid::max()
    } else {
        after.schedule_id
    }
}

fn positions_of(ids: Vec<Uuid>) -> Vec<ListPosition> {
    ids.into_iter()
        .map(|schedule_id| ListPosition {
            schedule_id,
            ..ListPosition::START
        })
        .collect()
}

/// Describes `GET /v1/attention/{kind}` in the OpenAPI document.
pub fn list_doc() -> Operation {
    Operation::new("listAttention", "attention", "List what needs an operator, of one kind")
        .text("Each entry has the calls that resolve it. An entry may move between two pages, so only the first page is reliable.")
        .path("kind", json!({"type": "string", "enum": Kind::ALL.map(Kind::as_str)}), "The kind.", json!("uncertain"))
        .queries(parameters::page(LIMIT))
        .answers::<Page>(200, "A page.", json!({"kind": "missed-schedules", "entries": [example()], "next_cursor": null}))
        .problems(&["not-found"])
}
