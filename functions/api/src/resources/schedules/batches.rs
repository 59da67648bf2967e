//! `GET /v1/schedules/{id}/batches`: how far each batch is, page by page, and `POST …/retry` for those that are parked.

use crate::resources::{
    attention::repair_store::{count_left, retry_parked},
    schedules::{
        batch_store::{BatchState, ShownBatch, load_batches, page_of_batches},
        store::lock_schedule,
    },
};
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

use crate::resources::schedules::{examples::counts, show::parse_id};
use crate::{
    App,
    auth::{Caller, caller::Change},
    http::{
        error::ApiError,
        path::Path,
        query::{LIMIT, Query},
        transaction::{repeat, settle},
    },
    openapi::{BatchCounts, Operation, parameters},
    resources::schedules::arrange_dispatch::sweep,
};

/// A page.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "BatchPage")]
pub struct Page {
    batches: Vec<BatchView>,
    /// Where the next page begins; null: this is the last.
    next_cursor: Option<String>,
}

/// A batch as a client sees it.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "Batch")]
struct BatchView {
    batch_no: u32,
    #[schemars(extend("enum" = BatchState::ALL.map(BatchState::as_str)))]
    state: String,
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

/// 200 with a page.
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
    let mut transaction = app.db.pool.begin().await?;
    let page = async {
        load_schedule(&mut transaction, id)
            .await?
            .ok_or_else(ApiError::no_such_schedule)?;
        read_page(&mut transaction, id, state, (after, limit), app.db.now()).await
    }
    .await;
    Ok(Json(settle(transaction, page).await?))
}

async fn read_page(
    connection: &mut MySqlConnection,
    id: Uuid,
    state: Option<BatchState>,
    (after, limit): (u32, u32),
    now: DateTime<Utc>,
) -> Result<Page, ApiError> {
    let listed = page_of_batches(connection, id, state, (after, limit), now).await?;
    let names: Vec<_> = listed.iter().map(|batch| (id, batch.batch_no)).collect();
    let mut batches = Vec::with_capacity(names.len());
    for (batch, listed) in load_batches(connection, &names)
        .await?
        .into_iter()
        .zip(&listed)
    {
        let mut counts = batch.counts();
        if batch.claimed_until.is_some() {
            // They are those of the last release; the rows know better.
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
        batches.push(view(&batch, listed.state.clone(), counts));
    }
    let last = batches.last().filter(|_| batches.len() == limit as usize);
    let next_cursor = last.map(|last| format!("b{:x}", last.batch_no));
    Ok(Page {
        batches,
        next_cursor,
    })
}

fn view(batch: &ShownBatch, state: String, counts: Counts) -> BatchView {
    BatchView {
        batch_no: batch.batch_no,
        state,
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

/// What a retry did.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "RetriedBatches")]
pub struct Retried {
    /// Parked batches that may be claimed again.
    changed: u64,
    left: Left,
}

/// What it left as it was, and why.
#[derive(JsonSchema, Serialize)]
#[schemars(rename = "BatchesLeft")]
struct Left {
    /// Under their third claim: not parked yet.
    busy: u64,
    /// Not parked.
    not_parked: u64,
}

/// All parked batches of a schedule.
pub async fn retry_all(
    State(app): State<App>,
    caller: Caller,
    Path(id): Path<String>,
    query: Query,
) -> Result<Json<Retried>, ApiError> {
    query.finish()?;
    retry(&app, &caller, parse_id(&id)?, None).await.map(Json)
}

/// One of them.
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

/// Whatever it finds, dispatch sweeps: so it also helps where the sweep has not come.
async fn retry(
    app: &App,
    caller: &Caller,
    id: Uuid,
    batch_no: Option<u32>,
) -> Result<Retried, ApiError> {
    let retried = repeat(|| async {
        let mut transaction = app.db.pool.begin().await?;
        let retried = write(&mut transaction, caller, (id, batch_no), app.db.now()).await;
        settle(transaction, retried).await
    });
    let retried = retried.await?;
    sweep(app).await;
    Ok(retried)
}

async fn write(
    transaction: &mut MySqlConnection,
    caller: &Caller,
    (id, batch_no): (Uuid, Option<u32>),
    now: DateTime<Utc>,
) -> Result<Retried, ApiError> {
    let range = batch_no.map_or((1, u32::MAX), |batch_no| (batch_no, batch_no));
    lock_schedule(transaction, id)
        .await?
        .ok_or_else(ApiError::no_such_schedule)?;
    let changed = retry_parked(transaction, id, range, now).await?;
    let found = count_left(transaction, id, range, now).await?;
    if batch_no.is_some() && found.batches == 0 {
        return Err(no_such_batch());
    }
    if changed > 0 {
        let after = json!({"batch_no": batch_no, "batches": changed});
        caller
            .record(
                transaction,
                now,
                Change::of_schedule("schedule.retry", id, (), after),
            )
            .await?;
    }
    let busy = found.busy as u64;
    Ok(Retried {
        changed,
        left: Left {
            busy,
            not_parked: found.batches as u64 - changed - busy,
        },
    })
}

fn no_such_batch() -> ApiError {
    ApiError::NotFound("there is no batch with this number".to_owned())
}

/// For the document.
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
    Operation::new("listBatches", "schedules", "How far each batch is")
        .text("A schedule is cut into batches when it begins. `state` is the first of these that holds.")
        .query("state", json!({"type": "string", "enum": BatchState::ALL.map(BatchState::as_str)}), "Only those in this state.")
        .queries(parameters::page(LIMIT))
        .answers::<Page>(200, "A page.", json!({"batches": [batch], "next_cursor": null}))
        .problems(&["not-found"])
}

/// Likewise.
pub fn retry_all_doc() -> Operation {
    retry_doc("retryBatches", "Try all parked batches of a schedule again")
}

/// Likewise.
pub fn retry_one_doc() -> Operation {
    retry_doc("retryBatch", "Try a parked batch again")
}

fn retry_doc(id: &'static str, summary: &'static str) -> Operation {
    Operation::new(id, "trouble", summary)
        .text("What was claimed three times without a release may be claimed again. Always has dispatch sweep.")
        .answers::<Retried>(
            200,
            "What was changed, and what was left, and why.",
            json!({"changed": 1, "left": {"busy": 0, "not_parked": 0}}),
        )
        .problems(&["not-found"])
}
