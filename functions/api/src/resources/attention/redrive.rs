//! `POST /v1/attention/dead-letters/redrive`. A dead letter is never sent again. A redrive makes the
//! rows that it names due for the sweep, if they have work, and then deletes the letter. So a
//! repeated redrive does nothing twice.

use std::time::{Duration, Instant};

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use sqlx::MySqlConnection;

use crate::{
    App, CALL_BUDGET,
    auth::{Caller, caller::Change},
    http::{error::ApiError, query::Query, transaction::transaction},
    openapi::{Operation, parameters::flag},
    resources::{
        attention::{
            dead_letter_queue::{DeadLetter, Named, NamedDeadLetterQueue},
            dead_letters::{DeadLetterView, in_time, unreachable},
            due::make_due_for_sweep,
        },
        schedules::arrange_dispatch::request_sweep,
        webhooks::store::deliveries::make_deliveries_due,
    },
};

/// After this time a redrive takes no more letters.
const MAX_DURATION: Duration = CALL_BUDGET;
/// After this number of letters a redrive takes no more letters.
const MAX_LETTERS: u64 = 1_000;
/// Letters that a redrive takes from a queue at a time.
const BATCH: usize = 10;

/// The effect of a redrive.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "RedrivenLetters")]
pub struct Redriven {
    /// Batches and deliveries that are now due for the sweep. The other named ones have no work, or
    /// a worker owns them.
    changed: u64,
    /// Letters that were deleted, because the rows hold all that they name.
    deleted: u64,
    /// Malformed letters that were deleted too.
    discarded: u64,
    left: UnchangedDeadLetters,
    /// Whether there is more than one call can do; if so, repeat the call.
    more: bool,
}

/// What a redrive did not do, by the reason.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "UnchangedDeadLetters")]
struct UnchangedDeadLetters {
    /// Letters that name nothing.
    malformed: Vec<DeadLetterView>,
    /// Queues that did not answer.
    unreachable: Vec<String>,
}

/// Returns 200 with the effect.
pub async fn redrive(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Redriven>, ApiError> {
    let discard_malformed =
        query.choice("discard_malformed", &["false", "true"], |value| value) == Some("true");
    query.finish()?;
    let redrive = Redrive {
        app: &app,
        caller: &caller,
        discard_malformed,
        begun: Instant::now(),
    };
    let mut done = Redriven::default();
    for queue in &app.dead_letters {
        let mut kept = Vec::new();
        let redriven = redrive.run(queue, &mut done, &mut kept).await;
        done.left.malformed.extend(
            kept.iter()
                .map(|letter| DeadLetterView::new(&queue.name, letter)),
        );
        queue.queue.put_back(&kept).await;
        match redriven {
            Ok(()) => {}
            Err(RedriveError::Queue(error)) => {
                done.left.unreachable.push(unreachable(queue, &error));
            }
            Err(RedriveError::Request(error)) => return Err(error),
        }
    }
    request_sweep(&app).await;
    tracing::info!(
        letters = done.deleted,
        discarded = done.discarded,
        batches = done.changed,
        "dead letters redriven"
    );
    Ok(Json(done))
}

/// Returns the entry of the audit log for some letters of a queue, which are named in it.
fn change(
    action: &'static str,
    queue: &NamedDeadLetterQueue,
    letters: &[DeadLetter],
    changed: u64,
) -> Change<'static> {
    let ids: Vec<_> = letters.iter().map(|letter| &letter.message_id).collect();
    Change {
        action,
        resource: format!("dead-letters:{}", queue.name),
        after: Some(json!({"letters": ids, "changed": changed})),
        ..Change::default()
    }
}

enum RedriveError {
    Queue(anyhow::Error),
    Request(ApiError),
}

impl From<anyhow::Error> for RedriveError {
    fn from(error: anyhow::Error) -> Self {
        Self::Queue(error)
    }
}

/// A call of redrive.
struct Redrive<'a> {
    app: &'a App,
    caller: &'a Caller,
    discard_malformed: bool,
    begun: Instant,
}

impl Redrive<'_> {
    /// Redrives one queue, a batch of letters at a time, until a batch is not full, which shows that
    /// the queue is empty. For each batch first the rows are written, together with their entry in
    /// the audit log, then the letters are deleted. Letters in `kept` stay hidden meanwhile.
    async fn run(
        &self,
        queue: &NamedDeadLetterQueue,
        done: &mut Redriven,
        kept: &mut Vec<DeadLetter>,
    ) -> Result<(), RedriveError> {
        // The count is read first: it is fast, and a read takes a second to find that a queue is
        // empty.
        let mut last = in_time(queue.queue.count()).await? == 0;
        while !last {
            let handled = done.deleted + done.discarded + kept.len() as u64;
            if self.begun.elapsed() > MAX_DURATION || handled >= MAX_LETTERS {
                done.more = true;
                return Ok(());
            }
            let taken = in_time(queue.queue.take(BATCH)).await?;
            last = taken.len() < BATCH;
            let (named, malformed): (Vec<_>, Vec<_>) =
                taken.into_iter().partition(|letter| letter.named().is_ok());
            match self.write(queue, &named, &malformed).await {
                Ok(changed) => done.changed += changed,
                Err(error) => {
                    kept.extend(malformed);
                    queue.queue.put_back(&named).await;
                    return Err(RedriveError::Request(error));
                }
            }
            done.deleted += queue.queue.delete(&named).await? as u64;
            if self.discard_malformed {
                done.discarded += queue.queue.delete(&malformed).await? as u64;
            } else {
                kept.extend(malformed);
            }
        }
        Ok(())
    }

    /// Makes due what letters name, and records what becomes of them, in one transaction. Returns
    /// how many rows it changed.
    async fn write(
        &self,
        queue: &NamedDeadLetterQueue,
        named: &[DeadLetter],
        malformed: &[DeadLetter],
    ) -> Result<u64, ApiError> {
        let now = self.app.db.now();
        transaction(&self.app.db, |connection| {
            Box::pin(async move {
                let changed = make_named_rows_due(connection, named, now).await?;
                if !named.is_empty() {
                    let change = change("dead-letters.redrive", queue, named, changed);
                    self.caller.record(connection, now, change).await?;
                }
                if self.discard_malformed && !malformed.is_empty() {
                    let change = change("dead-letters.discard", queue, malformed, 0);
                    self.caller.record(connection, now, change).await?;
                }
                Ok(changed)
            })
        })
        .await
    }
}

/// Makes the rows that the letters name due. A schedule or a sweep needs nothing, because the sweep
/// that follows finds their work.
async fn make_named_rows_due(
    connection: &mut MySqlConnection,
    letters: &[DeadLetter],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let (mut batches, mut deliveries) = (Vec::new(), Vec::new());
    for named in letters
        .iter()
        .flat_map(|letter| letter.named().unwrap_or_default())
    {
        match named {
            Named::Batch(batch) => batches.push(batch),
            Named::Delivery(delivery) => deliveries.push(delivery),
            Named::Schedule(_) | Named::Sweep(_) => {}
        }
    }
    let mut changed = 0;
    if !batches.is_empty() {
        changed += make_due_for_sweep(connection, &batches, now).await?;
    }
    if !deliveries.is_empty() {
        changed += make_deliveries_due(connection, &deliveries, now).await?;
    }
    Ok(changed)
}

/// Describes `POST /v1/attention/dead-letters/redrive` in the OpenAPI document.
pub fn redrive_doc() -> Operation {
    let example = json!({"changed": 1, "deleted": 1, "discarded": 0, "left": {"malformed": [], "unreachable": []}, "more": false});
    Operation::new("redriveDeadLetters", "attention", "Retry what dead letters name")
        .text("No letter is sent again: the rows that a letter names become due for the sweep, and then the letter is deleted.")
        .query("discard_malformed", flag(), "Also delete letters that name nothing.")
        .answers::<Redriven>(200, "The effect, and the letters that remain.", example)
}
