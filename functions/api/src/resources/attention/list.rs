//! `GET /v1/attention/{kind}`: everything of one kind, page by page. Between two pages an entry may move in the order of its list, so
//! the first page is the one to trust.

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
        path::Path,
        query::{LIMIT, Query},
        transaction::transaction,
    },
    openapi::{Operation, parameters},
    resources::{
        attention::{
            Kind, batches,
            entry::{Entry, example},
            read_cursor, schedules,
            store::{
                Place, missed_batches, overdue_batches, overdue_schedules, parked_batches,
                paused_by_system, uncertain_batches,
            },
            write_cursor,
        },
        schedules::store::lists::{ScheduleFilter, page_of_schedules},
    },
};

/// A page.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "TroublePage")]
pub struct Page {
    /// The kind.
    #[schemars(extend("enum" = Kind::ALL.map(Kind::as_str)))]
    pub kind: &'static str,
    /// What needs a person.
    pub entries: Vec<Entry>,
    /// Where the next page begins; null: this is the last.
    pub next_cursor: Option<String>,
}

/// 200 with a page.
pub async fn list(
    State(app): State<App>,
    Path(kind): Path<String>,
    mut query: Query,
) -> Result<Json<Page>, ApiError> {
    let found = Kind::ALL.into_iter().find(|known| known.as_str() == kind);
    let kind = found.ok_or_else(|| {
        let kinds: Vec<_> = Kind::ALL.into_iter().map(Kind::as_str).collect();
        ApiError::NotFound(format!(
            "there is no such list; expected one of: {}, dead-letters",
            kinds.join(", ")
        ))
    })?;
    let limit = query.limit(LIMIT);
    let after = query.cursor(read_cursor).unwrap_or(Place::START);
    query.finish()?;
    let now = app.db.now();
    let page = transaction(&app.db, |transaction| {
        Box::pin(read_page(transaction, kind, (after, limit), now))
    });
    Ok(Json(page.await?))
}

/// A page of a kind, after a place in its order.
pub async fn read_page(
    connection: &mut MySqlConnection,
    kind: Kind,
    (after, limit): (Place, u32),
    now: DateTime<Utc>,
) -> Result<Page, ApiError> {
    let places = match kind {
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
            newest(page_of_schedules(connection, missed, before(after), limit).await?)
        }
        Kind::Paused => newest(paused_by_system(connection, before(after), limit).await?),
    };
    let entries = match kind {
        Kind::MissedSchedules | Kind::OverdueSchedules | Kind::Paused => {
            let ids: Vec<_> = places.iter().map(|place| place.schedule_id).collect();
            schedules::entries(connection, kind, &ids).await?
        }
        _ => batches::entries(connection, kind, &places).await?,
    };
    let last = places.last().filter(|_| places.len() == limit as usize);
    Ok(Page {
        kind: kind.as_str(),
        entries,
        next_cursor: last.copied().map(write_cursor),
    })
}

/// Lists in the order of ids begin with the newest.
fn before(after: Place) -> Uuid {
    if after == Place::START {
        Uuid::max()
    } else {
        after.schedule_id
    }
}

fn newest(ids: Vec<Uuid>) -> Vec<Place> {
    ids.into_iter()
        .map(|schedule_id| Place {
            schedule_id,
            ..Place::START
        })
        .collect()
}

/// For the document.
pub fn list_doc() -> Operation {
    Operation::new("listTrouble", "attention", "What needs a person, of one kind")
        .text("Each entry has the calls that do something about it. Between two pages an entry may move: the first page is the one to trust.")
        .path("kind", json!({"type": "string", "enum": Kind::ALL.map(Kind::as_str)}), "The kind.", json!("uncertain"))
        .queries(parameters::page(LIMIT))
        .answers::<Page>(200, "A page.", json!({"kind": "missed-schedules", "entries": [example()], "next_cursor": null}))
        .problems(&["not-found"])
}
