//! `GET /v1/schedules/{id}/batches`: lists the progress of each batch, page by page. `POST …/retry`
//! releases parked batches.

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{
    batch::SeqRange,
    schedule::{
        counts::{Counts, count_range},
        row::load_schedule,
    },
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::{
    App,
    auth::{Caller, audit::audited_transaction, caller::Change},
    http::{
        error::ApiError,
        page::PageRequest,
        path::Path,
        query::{LIMIT, Query},
        transaction::transaction,
    },
    openapi::{BatchCounts, Operation, parameters},
    resources::schedules::{
        arrange_dispatch::request_sweep,
        examples::counts,
        show::parse_id,
        store::{
            batches::{
                BatchState, ShownBatch, count_batch_range, load_batches, page_of_batches,
                retry_parked,
            },
            lock_schedule,
        },
    },
};

/// A page of batches.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "BatchPage")]
pub struct Page {
    batches: Vec<BatchView>,
    /// The cursor of the next page; null on the last page.
    next_cursor: Option<String>,
}

/// A batch in an answer.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Batch")]
struct BatchView {
    batch_no: u32,
    #[schemars(extend("enum" = BatchState::ALL.map(BatchState::as_str)))]
    state: &'static str,
    first_seq: u32,
    last_seq: u32,
    planned_at: DateTime<Utc>,
    send_at: Option<DateTime<Utc>>,
    check_at: Option<DateTime<Utc>>,
    sweep_at: Option<DateTime<Utc>>,
    missed_at: Option<DateTime<Utc>>,
    claimed: bool,
    claimed_until: Option<DateTime<Utc>>,
    crashes: u32,
    tries: u32,
    refusals: u32,
    checks: u32,
    requeues: u32,
    #[schemars(with = "BatchCounts")]
    counts: Counts,
}

/// Returns 200 with a page.
pub async fn list(
    State(app): State<App>,
    Path(id): Path<String>,
    mut query: Query,
) -> Result<Json<Page>, ApiError> {
    let id = parse_id(&id)?;
    let state = query.choice("state", &BatchState::ALL, BatchState::as_str);
    let limit = query.limit(LIMIT);
    let after = query
        .cursor(|cursor| u32::from_str_radix(cursor.strip_prefix('b')?, 16).ok())
        .unwrap_or_default();
    query.finish()?;
    let app = &app;
    let page = transaction(&app.db, |transaction| {
        Box::pin(async move {
            load_schedule(transaction, id)
                .await?
                .ok_or_else(ApiError::no_such_schedule)?;
            read_page(
                transaction,
                id,
                state,
                PageRequest { after, limit },
                app.db.now(),
            )
            .await
        })
    });
    Ok(Json(page.await?))
}

async fn read_page(
    connection: &mut MySqlConnection,
    id: Uuid,
    state: Option<BatchState>,
    page: PageRequest<u32>,
    now: DateTime<Utc>,
) -> Result<Page, ApiError> {
    let listed = page_of_batches(connection, id, state, page, now).await?;
    let ids: Vec<_> = listed.iter().map(|batch| (id, batch.batch_no)).collect();
    let mut batches = Vec::with_capacity(ids.len());
    for (batch, listed) in load_batches(connection, &ids)
        .await?
        .into_iter()
        .zip(&listed)
    {
        let mut counts = batch.counts();
        if batch.claimed_until.is_some() {
            // The stored counts are those of the last release; the rows are more recent.
            let rows = count_range(
                connection,
                id,
                SeqRange::new(batch.first_seq, batch.last_seq),
            )
            .await?;
            let rows: Counts = rows
                .into_iter()
                .map(|(status, count)| (status, count as u64))
                .collect();
            for (status, count) in &mut counts {
                *count = rows.get(status).copied().unwrap_or_default();
            }
        }
        batches.push(view(&batch, listed.state, counts));
    }
    let last = batches
        .last()
        .filter(|_| batches.len() == page.limit as usize);
    let next_cursor = last.map(|last| format!("b{:x}", last.batch_no));
    Ok(Page {
        batches,
        next_cursor,
    })
}

fn view(batch: &ShownBatch, state: BatchState, counts: Counts) -> BatchView {
    BatchView {
        batch_no: batch.batch_no,
        state: state.as_str(),
        first_seq: batch.first_seq,
        last_seq: batch.last_seq,
        planned_at: batch.planned_at,
        send_at: batch.send_at,
        check_at: batch.check_at,
        sweep_at: batch.sweep_at,
        missed_at: batch.missed_at,
        claimed: batch.claimed_until.is_some(),
        claimed_until: batch.claimed_until,
        crashes: batch.crashes,
        tries: batch.tries,
        refusals: batch.refusals,
        checks: batch.checks,
        requeues: batch.requeues,
        counts,
    }
}

/// The effect of a retry.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RetriedBatches")]
pub struct Retried {
    /// Parked batches that can be claimed again.
    changed: u64,
    left: UnchangedBatches,
}

/// Batches that a retry did not change, by the reason.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "UnchangedBatches")]
struct UnchangedBatches {
    /// Under their third claim, so not parked yet.
    busy: u64,
    /// Not parked.
    not_parked: u64,
}

/// Releases all parked batches of a schedule.
pub async fn retry_all(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Retried>, ApiError> {
    query.finish()?;
    retry(&app, &caller, parse_id(&id)?, None).await.map(Json)
}

/// Releases one parked batch.
pub async fn retry_one(
    State(app): State<App>,
    caller: Caller,
    Path((id, batch_no)): Path<(String, String)>,
    query: Query,
) -> Result<Json<Retried>, ApiError> {
    query.finish()?;
    let batch_no = batch_no.parse().map_err(|_| no_such_batch())?;
    retry(&app, &caller, parse_id(&id)?, Some(batch_no))
        .await
        .map(Json)
}

/// Releases parked batches. Always requests a sweep, so it also helps if the sweep has not run.
async fn retry(
    app: &App,
    caller: &Caller,
    id: Uuid,
    batch_no: Option<u32>,
) -> Result<Retried, ApiError> {
    let retried = audited_transaction(&app.db, caller, |mut transaction| {
        Box::pin(async move { write(&mut transaction, id, batch_no, app.db.now()).await })
    })
    .await?;
    request_sweep(app).await;
    Ok(retried)
}

async fn write(
    transaction: &mut MySqlConnection,
    id: Uuid,
    batch_no: Option<u32>,
    now: DateTime<Utc>,
) -> Result<(Retried, Option<Change<'static>>), ApiError> {
    let range = batch_no.map_or(1..=u32::MAX, |batch_no| batch_no..=batch_no);
    lock_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let changed = retry_parked(transaction, id, range.clone(), now).await?;
    let counts = count_batch_range(transaction, id, range, now).await?;
    if batch_no.is_some() && counts.batches == 0 {
        return Err(no_such_batch());
    }
    let after = json!({"batch_no": batch_no, "batches": changed});
    let change = (changed > 0).then(|| Change::of_schedule("schedule.retry", id, (), after));
    let busy = counts.busy as u64;
    let left = UnchangedBatches {
        busy,
        not_parked: counts.batches as u64 - changed - busy,
    };
    Ok((Retried { changed, left }, change))
}

fn no_such_batch() -> ApiError {
    ApiError::NotFound("there is no batch with this number".to_owned())
}

/// Describes `GET /v1/schedules/{id}/batches` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let mut counts = counts();
    if let Some(counts) = counts.as_object_mut() {
        counts.remove("INVALID");
    }
    let batch = json!({
        "batch_no": 1, "state": "to-send", "first_seq": 1, "last_seq": 2, "planned_at": "2027-01-31T01:00:00Z",
        "send_at": "2027-01-31T01:00:00Z", "check_at": null, "sweep_at": "2027-01-31T01:05:00Z", "missed_at": null, "claimed": false,
        "claimed_until": null, "crashes": 0, "tries": 0, "refusals": 0, "checks": 0, "requeues": 0, "counts": counts,
    });
    Operation::new("listBatches", "schedules", "List the progress of each batch")
        .text("A schedule is cut into batches when it begins. `state` is the first of these states that applies.")
        .query("state", json!({"type": "string", "enum": BatchState::ALL.map(BatchState::as_str)}), "Only batches in this state.")
        .queries(parameters::page(LIMIT))
        .answers::<Page>(200, "A page.", json!({"batches": [batch], "next_cursor": null}))
        .problems(&["not-found"])
}

/// Describes `POST /v1/schedules/{id}/retry` in the OpenAPI document.
pub fn retry_all_doc() -> Operation {
    retry_doc("retryBatches", "Retry all parked batches of a schedule")
}

/// Describes `POST /v1/schedules/{id}/batches/{no}/retry` in the OpenAPI document.
pub fn retry_one_doc() -> Operation {
    retry_doc("retryBatch", "Retry a parked batch")
}

fn retry_doc(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, "attention", summary)
        .text("A batch that was claimed three times without a release can be claimed again. Always requests a sweep.")
        .answers::<Retried>(
            200,
            "How many batches were changed, and how many were not, by the reason.",
            json!({"changed": 1, "left": {"busy": 0, "not_parked": 0}}),
        )
        .problems(&["not-found"])
}
