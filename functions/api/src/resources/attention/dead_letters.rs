//! `GET /v1/attention/dead-letters`: messages that failed until their queue gave up.

use std::{collections::BTreeMap, time::Duration};

use axum::{Json, extract::State};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;

use crate::{
    App,
    http::{
        error::ApiError,
        query::{Limit, Query},
    },
    openapi::{Operation, parameters::only_limit},
    resources::attention::{
        dead_letter_queue::{DeadLetter, Named, NamedDeadLetterQueue},
        entry::Action,
    },
};

/// A dead-letter queue that does not answer in this time is reported as unreachable.
const DEAD_LETTERS_TIMEOUT: Duration = Duration::from_secs(6);
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
    /// Returns the view of a letter of a queue.
    pub(super) fn new(queue: &str, letter: &DeadLetter) -> Self {
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

/// Notes that a queue does not answer, and returns its name.
pub(super) fn unreachable(queue: &NamedDeadLetterQueue, error: &anyhow::Error) -> String {
    tracing::warn!(
        queue = queue.name,
        error = format!("{error:#}"),
        "a dead-letter queue does not answer"
    );
    queue.name.clone()
}

/// Waits for a queue, at most [`DEAD_LETTERS_TIMEOUT`].
pub(super) async fn in_time<T>(call: impl Future<Output = anyhow::Result<T>>) -> anyhow::Result<T> {
    tokio::time::timeout(DEAD_LETTERS_TIMEOUT, call)
        .await
        .map_err(anyhow::Error::from)
        .flatten()
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
