//! `GET /v1/attention/dead-letters` and `POST …/redrive`: messages that failed until their queue
//! gave up. A dead letter is never sent again. A redrive makes the rows that it names due for the
//! sweep, if they have work, and then deletes the letter. So a repeated redrive does nothing twice.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::platform::db::retry_lock_conflicts;

use crate::{
    App, CALL_BUDGET,
    auth::{Caller, caller::Change},
    http::{
        error::ApiError,
        query::{Limit, Query},
    },
    openapi::{
        Operation,
        parameters::{flag, only_limit},
    },
    resources::{
        attention::{
            dead_letter_queue::{DeadLetter, Named, NamedDeadLetterQueue},
            entry::Action,
            store::make_due_for_sweep,
        },
        schedules::arrange_dispatch::request_sweep,
        webhooks::store::make_deliveries_due,
    },
};

/// A dead-letter queue that does not answer in this time is reported as unreachable.
const DEAD_LETTERS_TIMEOUT: Duration = Duration::from_secs(6);
/// After this time a redrive takes no more letters.
const MAX_DURATION: Duration = CALL_BUDGET;
/// After this number of letters a redrive takes no more letters.
const MAX_LETTERS: u64 = 1_000;
/// Letters that a redrive takes from a queue at a time.
const BATCH: usize = 10;
/// Characters of a malformed letter that are shown.
const SHOWN: usize = 256;

/// The number of letters per queue.
const LETTER_LIMIT: Limit = Limit {
    most: 100,
    default: 50,
};

/// Dead letters of all queues.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "DeadLetters")]
pub struct DeadLetterPage {
    #[schemars(extend("const" = "dead-letters"))]
    kind: &'static str,
    /// The approximate number of letters in each queue.
    pub counts: BTreeMap<String, u64>,
    /// The first letters of each queue.
    pub entries: Vec<DeadLetterView>,
    /// Queues that did not answer.
    pub unreachable: Vec<String>,
}

/// A dead letter in an answer.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "DeadLetter")]
pub struct DeadLetterView {
    queue: String,
    message_id: String,
    sent_at: Option<DateTime<Utc>>,
    /// The batches, schedules, deliveries and sweeps that it names; empty if it is malformed.
    names: Vec<Named>,
    /// Why it names nothing, and the beginning of its body.
    #[serde(skip_serializing_if = "Option::is_none")]
    malformed: Option<Malformed>,
    actions: Vec<Action>,
}

#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "MalformedLetter")]
struct Malformed {
    reason: &'static str,
    body: String,
}

impl DeadLetterView {
    fn new(queue: &str, letter: &DeadLetter) -> Self {
        const REDRIVE: &str = "/v1/attention/dead-letters/redrive";
        let named = letter.named();
        let action = match named {
            Ok(_) => Action::post("redrive", REDRIVE.to_owned()),
            Err(_) => Action::post("discard", format!("{REDRIVE}?discard_malformed=true")),
        };
        let body = || letter.body.chars().take(SHOWN).collect();
        Self {
            queue: queue.to_owned(),
            message_id: letter.message_id.clone(),
            sent_at: letter.sent_at,
            malformed: named.as_ref().err().map(|reason| Malformed {
                reason,
                body: body(),
            }),
            names: named.unwrap_or_default(),
            actions: vec![action],
        }
    }
}

/// Returns 200 with the first letters of each queue. There is no second page, because a queue has
/// no order in which to continue.
pub async fn list(
    State(app): State<App>,
    mut query: Query,
) -> Result<Json<DeadLetterPage>, ApiError> {
    let limit = query.limit(LETTER_LIMIT);
    query.finish()?;
    Ok(Json(peek(&app, limit as usize).await))
}

/// Reads letters without removing them.
pub async fn peek(app: &App, limit: usize) -> DeadLetterPage {
    let mut found = DeadLetterPage {
        kind: "dead-letters",
        ..DeadLetterPage::default()
    };
    for queue in &app.dead_letters {
        match in_time(peek_one(queue, limit)).await {
            Ok((count, letters)) => {
                found.counts.insert(queue.name.clone(), count);
                found.entries.extend(
                    letters
                        .iter()
                        .map(|letter| DeadLetterView::new(&queue.name, letter)),
                );
            }
            Err(error) => found.unreachable.push(unreachable(queue, &error)),
        }
    }
    found
}

async fn peek_one(
    queue: &NamedDeadLetterQueue,
    limit: usize,
) -> anyhow::Result<(u64, Vec<DeadLetter>)> {
    let count = queue.queue.count().await?;
    if count == 0 {
        return Ok((0, Vec::new()));
    }
    // Takes no more letters than there are, because it takes a second to find that there are no
    // more.
    let letters = queue.queue.take(limit.min(count as usize)).await?;
    queue.queue.put_back(&letters).await;
    Ok((count, letters))
}

fn unreachable(queue: &NamedDeadLetterQueue, error: &anyhow::Error) -> String {
    tracing::warn!(
        queue = queue.name,
        error = format!("{error:#}"),
        "a dead-letter queue does not answer"
    );
    queue.name.clone()
}

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
    if done.deleted + done.discarded > 0 {
        record_redrive(&app, &caller, &done).await?;
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

async fn record_redrive(app: &App, caller: &Caller, done: &Redriven) -> sqlx::Result<()> {
    let after =
        json!({"batches": done.changed, "deleted": done.deleted, "discarded": done.discarded});
    let change = Change {
        action: "dead-letters.redrive",
        resource: "dead-letters".to_owned(),
        after: Some(after),
        ..Change::default()
    };
    let mut connection = app.db.acquire().await?;
    caller.record(&mut connection, app.db.now(), change).await
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
    discard_malformed: bool,
    begun: Instant,
}

impl Redrive<'_> {
    /// Redrives one queue, a batch of letters at a time, until a batch is not full, which shows that
    /// the queue is empty. For each batch first the rows are written, then the letters are deleted.
    /// Letters in `kept` stay hidden meanwhile.
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
            match make_named_rows_due(self.app, &named).await {
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
}

/// Waits for a queue, at most [`DEAD_LETTERS_TIMEOUT`].
async fn in_time<T>(call: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(DEAD_LETTERS_TIMEOUT, call)
        .await
        .map_err(anyhow::Error::from)
        .flatten()
}

/// Makes the rows that the letters name due. A schedule or a sweep needs nothing, because the sweep
/// that follows finds their work.
async fn make_named_rows_due(app: &App, letters: &[DeadLetter]) -> Result<u64, ApiError> {
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
        changed += retry_lock_conflicts(|| async {
            make_due_for_sweep(&mut *app.db.acquire().await?, &batches, app.db.now()).await
        })
        .await?;
    }
    if !deliveries.is_empty() {
        changed += retry_lock_conflicts(|| async {
            make_deliveries_due(&mut *app.db.acquire().await?, &deliveries, app.db.now()).await
        })
        .await?;
    }
    Ok(changed)
}

/// Describes `GET /v1/attention/dead-letters` in the OpenAPI document.
pub fn list_doc() -> Operation {
    let letter = json!({
        "queue": "send", "message_id": "m1", "sent_at": "2026-12-01T02:00:00Z",
        "names": [{"schedule_id": "0190a0b0-c0d0-7080-8000-00000000000f", "batch_no": 1}],
        "actions": [{"name": "redrive", "method": "POST", "href": "/v1/attention/dead-letters/redrive"}],
    });
    let example = json!({"kind": "dead-letters", "counts": {"send": 1}, "entries": [letter], "unreachable": []});
    Operation::new(
        "listDeadLetters",
        "attention",
        "List messages that failed until their queue gave up",
    )
    .text("The first letters of each queue. There is no second page.")
    .queries([only_limit(LETTER_LIMIT)])
    .answers::<DeadLetterPage>(200, "The letters.", example)
}

/// Describes `POST /v1/attention/dead-letters/redrive` in the OpenAPI document.
pub fn redrive_doc() -> Operation {
    let example = json!({"changed": 1, "deleted": 1, "discarded": 0, "left": {"malformed": [], "unreachable": []}, "more": false});
    Operation::new("redriveDeadLetters", "attention", "Retry what dead letters name")
        .text("No letter is sent again: the rows that a letter names become due for the sweep, and then the letter is deleted.")
        .query("discard_malformed", flag(), "Also delete letters that name nothing.")
        .answers::<Redriven>(200, "The effect, and the letters that remain.", example)
}
