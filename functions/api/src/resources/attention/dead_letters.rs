//! `GET /v1/attention/dead-letters` and `POST …/redrive`: what nobody could take from a queue. A letter is never sent again: what it names
//! is put into the sweep's sight as its row says, and then the letter is deleted. So a redrive that comes twice does nothing twice.

use std::{
    collections::BTreeMap,
    time::{Duration, Instant},
};

use crate::resources::{
    attention::{
        dead_letter_queue::{DeadLetter, DeadLetters, Named},
        repair_store::sweep_soon,
    },
    webhooks::deliver_soon::deliver_soon,
};
use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::resources::attention::entry::Action;
use crate::{
    App, CALL_BUDGET,
    auth::{Caller, caller::Change},
    http::{
        error::ApiError,
        query::{Limit, Query},
        transaction::repeat,
    },
    openapi::{
        Operation,
        parameters::{flag, only_limit},
    },
    resources::schedules::arrange_dispatch::sweep,
};

/// A dead-letter queue that does not answer in this time is reported as unreachable.
const DEAD_LETTERS_TIMEOUT: Duration = Duration::from_secs(6);

/// A redrive takes no more letters after so long, nor more than so many.
const ENOUGH: (Duration, u64) = (CALL_BUDGET, 1_000);
/// Letters that a redrive takes at a time, each of a queue.
const WAVE: usize = 10;
/// Characters of a letter that are shown.
const SHOWN: usize = 256;

/// Letters of each queue.
const LETTER_LIMIT: Limit = Limit {
    most: 100,
    default: 50,
};

/// Letters of all queues.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "DeadLetters")]
pub struct Letters {
    #[schemars(extend("const" = "dead-letters"))]
    kind: &'static str,
    /// About how many there are in each queue.
    pub counts: BTreeMap<String, u64>,
    /// The first of each.
    pub entries: Vec<LetterView>,
    /// Queues that did not answer.
    pub unreachable: Vec<String>,
}

/// A letter as it is shown.
#[derive(Debug, JsonSchema, Serialize)]
#[schemars(rename = "DeadLetter")]
pub struct LetterView {
    queue: String,
    message_id: String,
    sent_at: Option<DateTime<Utc>>,
    /// The batches, schedules, deliveries and sweeps that it names; nobody else made it.
    names: Vec<Named>,
    /// Why it names nothing, and its beginning.
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

impl LetterView {
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

/// 200 with the first letters of each queue. There is no second page: a queue has no order to continue in.
pub async fn list(State(app): State<App>, mut query: Query) -> Result<Json<Letters>, ApiError> {
    let limit = query.limit(LETTER_LIMIT);
    query.finish()?;
    Ok(Json(peek(&app, limit as usize).await))
}

/// Looks at letters without taking them away.
pub async fn peek(app: &App, limit: usize) -> Letters {
    let mut found = Letters {
        kind: "dead-letters",
        ..Letters::default()
    };
    for queue in &app.dead_letters {
        match tokio::time::timeout(DEAD_LETTERS_TIMEOUT, peek_one(queue, limit))
            .await
            .map_err(anyhow::Error::from)
            .flatten()
        {
            Ok((count, letters)) => {
                found.counts.insert(queue.name.clone(), count);
                found.entries.extend(
                    letters
                        .iter()
                        .map(|letter| LetterView::new(&queue.name, letter)),
                );
            }
            Err(error) => found.unreachable.push(unreachable(queue, &error)),
        }
    }
    found
}

async fn peek_one(queue: &DeadLetters, limit: usize) -> anyhow::Result<(u64, Vec<DeadLetter>)> {
    let count = queue.letters.count().await?;
    if count == 0 {
        return Ok((0, Vec::new()));
    }
    // Not more than there are: to find out that there is none left takes a second.
    let letters = queue.letters.take(limit.min(count as usize)).await?;
    queue.letters.put_back(&letters).await;
    Ok((count, letters))
}

fn unreachable(queue: &DeadLetters, error: &anyhow::Error) -> String {
    tracing::warn!(
        queue = queue.name,
        error = format!("{error:#}"),
        "a dead-letter queue does not answer"
    );
    queue.name.clone()
}

/// What a redrive did.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "RedrivenLetters")]
pub struct Redriven {
    /// Batches and deliveries that are due for the sweep now; the others of those that are named have nothing to do, or somebody works on them.
    changed: u64,
    /// Letters that are gone, as the rows say what they said.
    deleted: u64,
    /// Malformed ones that are gone too.
    discarded: u64,
    left: Left,
    /// Whether there is more than one call can do: make it again.
    more: bool,
}

/// What it left, and why.
#[derive(Debug, Default, JsonSchema, Serialize)]
#[schemars(rename = "LettersLeft")]
struct Left {
    /// Letters that name nothing.
    malformed: Vec<LetterView>,
    /// Queues that did not answer.
    unreachable: Vec<String>,
}

/// 200 with what was done.
pub async fn redrive(
    State(app): State<App>,
    caller: Caller,
    mut query: Query,
) -> Result<Json<Redriven>, ApiError> {
    let discard =
        query.choice("discard_malformed", &["false", "true"], |word| word) == Some("true");
    query.finish()?;
    let begun = Instant::now();
    let mut done = Redriven::default();
    for queue in &app.dead_letters {
        let mut kept = Vec::new();
        let redriven = redrive_one(&app, queue, (discard, begun), (&mut done, &mut kept)).await;
        done.left.malformed.extend(
            kept.iter()
                .map(|letter| LetterView::new(&queue.name, letter)),
        );
        queue.letters.put_back(&kept).await;
        match redriven {
            Ok(()) => {}
            Err(Failed::Queue(error)) => done.left.unreachable.push(unreachable(queue, &error)),
            Err(Failed::Request(error)) => return Err(error),
        }
    }
    if done.deleted + done.discarded > 0 {
        let after = Some(
            json!({"batches": done.changed, "deleted": done.deleted, "discarded": done.discarded}),
        );
        let change = Change {
            action: "dead-letters.redrive",
            resource: "dead-letters".to_owned(),
            after,
            ..Change::default()
        };
        caller
            .record(&mut *app.db.pool.acquire().await?, app.db.now(), change)
            .await?;
    }
    sweep(&app).await;
    tracing::info!(
        letters = done.deleted,
        discarded = done.discarded,
        batches = done.changed,
        "dead letters redriven"
    );
    Ok(Json(done))
}

enum Failed {
    Queue(anyhow::Error),
    Request(ApiError),
}

impl From<anyhow::Error> for Failed {
    fn from(error: anyhow::Error) -> Self {
        Self::Queue(error)
    }
}

/// Wave by wave, until the queue is empty, which a wave that is not full says: first the rows, then the letters. What is kept stays
/// hidden meanwhile.
async fn redrive_one(
    app: &App,
    queue: &DeadLetters,
    (discard, begun): (bool, Instant),
    (done, kept): (&mut Redriven, &mut Vec<DeadLetter>),
) -> Result<(), Failed> {
    // To find a queue empty takes a second, to ask for its count a moment.
    let mut last = tokio::time::timeout(DEAD_LETTERS_TIMEOUT, queue.letters.count())
        .await
        .map_err(anyhow::Error::from)
        .flatten()?
        == 0;
    while !last {
        if begun.elapsed() > ENOUGH.0
            || done.deleted + done.discarded + kept.len() as u64 >= ENOUGH.1
        {
            done.more = true;
            return Ok(());
        }
        let taken = tokio::time::timeout(DEAD_LETTERS_TIMEOUT, queue.letters.take(WAVE))
            .await
            .map_err(anyhow::Error::from)
            .flatten()?;
        last = taken.len() < WAVE;
        let (named, malformed): (Vec<_>, Vec<_>) =
            taken.into_iter().partition(|letter| letter.named().is_ok());
        match write(app, &named).await {
            Ok(changed) => done.changed += changed,
            Err(error) => {
                kept.extend(malformed);
                queue.letters.put_back(&named).await;
                return Err(Failed::Request(error));
            }
        }
        done.deleted += queue.letters.delete(&named).await? as u64;
        if discard {
            done.discarded += queue.letters.delete(&malformed).await? as u64;
        } else {
            kept.extend(malformed);
        }
    }
    Ok(())
}

/// A schedule, or a sweep, needs nothing: the sweep that follows finds what there is to do.
async fn write(app: &App, letters: &[DeadLetter]) -> Result<u64, ApiError> {
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
        changed += repeat(|| async {
            Ok(sweep_soon(&mut *app.db.pool.acquire().await?, &batches, app.db.now()).await?)
        })
        .await?;
    }
    if !deliveries.is_empty() {
        changed += repeat(|| async {
            Ok(deliver_soon(
                &mut *app.db.pool.acquire().await?,
                &deliveries,
                app.db.now(),
            )
            .await?)
        })
        .await?;
    }
    Ok(changed)
}

/// For the document.
pub fn list_doc() -> Operation {
    let letter = json!({
        "queue": "send", "message_id": "m1", "sent_at": "2026-12-01T02:00:00Z",
        "names": [{"schedule_id": "0190a0b0-c0d0-7080-8000-00000000000f", "batch_no": 1}],
        "actions": [{"name": "redrive", "method": "POST", "href": "/v1/attention/dead-letters/redrive"}],
    });
    let example = json!({"kind": "dead-letters", "counts": {"send": 1}, "entries": [letter], "unreachable": []});
    Operation::new(
        "listDeadLetters",
        "trouble",
        "Messages that nobody could take from a queue",
    )
    .text("The first of each queue. There is no second page.")
    .queries([only_limit(LETTER_LIMIT)])
    .answers::<Letters>(200, "The letters.", example)
}

/// Likewise.
pub fn redrive_doc() -> Operation {
    let example = json!({"changed": 1, "deleted": 1, "discarded": 0, "left": {"malformed": [], "unreachable": []}, "more": false});
    Operation::new("redriveDeadLetters", "trouble", "Have done what the letters say")
        .text("Nothing is sent again by it: what a letter names is put into the sweep's sight, and then the letter is deleted.")
        .query("discard_malformed", flag(), "Letters that name nothing are deleted too.")
        .answers::<Redriven>(200, "What was done, and what is left.", example)
}
