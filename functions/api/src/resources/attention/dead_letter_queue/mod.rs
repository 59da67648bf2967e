//! The dead-letter queues: messages that failed until their queue gave up. A dead letter at most
//! names rows, and the rows are the source of truth, so deleting a letter loses nothing. A letter
//! that names nothing was not sent by this system, and needs an operator.

mod sqs;

use std::sync::Arc;

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;
use shared::platform::queue::{BatchMessage, DeliveryMessage, DispatchMessage, read_body};

pub use sqs::SqsDeadLetterQueue;

/// A dead letter.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetter {
    /// The id that the queue gave it.
    pub message_id: String,
    /// The receipt handle, which allows to delete it or to put it back.
    pub receipt: String,
    /// Its text.
    pub body: String,
    /// When it was first sent.
    pub sent_at: Option<DateTime<Utc>>,
}

/// A row, or a sweep, that a dead letter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(rename = "NamedInDeadLetter")]
pub enum Named {
    /// A batch that send or recheck could not process.
    Batch(BatchMessage),
    /// A schedule that dispatch could not process, or did not receive.
    Schedule(DispatchMessage),
    /// A delivery that notify could not process.
    Delivery(DeliveryMessage),
    /// A sweep; the next sweep does the same.
    Sweep(Sweep),
}

/// `{"sweep":true}`
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedSweep")]
pub struct Sweep {
    sweep: bool,
}

/// A letter may contain an event, which contains messages; nothing is nested deeper.
const MAX_DEPTH: u32 = 3;

impl DeadLetter {
    /// Returns what it names, or why it names nothing. There are four forms: our own messages;
    /// Lambda's record of a failed event (`requestPayload`); SQS's event (`Records`); and an event
    /// that EventBridge could not deliver, which is the event itself.
    pub fn named(&self) -> Result<Vec<Named>, &'static str> {
        let body = serde_json::from_str(&self.body).map_err(|_| "not JSON")?;
        let mut named = Vec::new();
        collect(body, MAX_DEPTH, &mut named)?;
        if named.is_empty() {
            Err("an event without messages")
        } else {
            Ok(named)
        }
    }
}

fn collect(mut body: Value, depth: u32, named: &mut Vec<Named>) -> Result<(), &'static str> {
    if depth == 0 {
        return Err("events inside events");
    }
    if let Some(payload) = body.get_mut("requestPayload") {
        return collect(payload.take(), depth - 1, named);
    }
    if let Some(records) = body.get("Records").and_then(Value::as_array) {
        for record in records {
            let body = record["body"].as_str().ok_or("a record without a body")?;
            collect(
                read_body(body).map_err(|_| "a record that is not JSON")?,
                depth - 1,
                named,
            )?;
        }
        return Ok(());
    }
    let read = serde_json::from_value(body.clone()).map(Named::Batch);
    let read = read.or_else(|_| serde_json::from_value(body.clone()).map(Named::Schedule));
    let read = read.or_else(|_| serde_json::from_value(body.clone()).map(Named::Delivery));
    let read = read.or_else(|_| serde_json::from_value(body).map(Named::Sweep));
    named.push(read.map_err(|_| "it names no batch, schedule, delivery or sweep")?);
    Ok(())
}

/// One dead-letter queue.
#[async_trait]
pub trait DeadLetterQueue: Send + Sync {
    /// Returns the approximate number of letters, including those that are hidden because a call
    /// reads them.
    async fn count(&self) -> anyhow::Result<u64>;

    /// Takes up to `limit` letters, and hides them from other calls until they are put back, at
    /// most for half a minute.
    async fn take(&self, limit: usize) -> anyhow::Result<Vec<DeadLetter>>;

    /// Makes letters visible again. A letter that cannot be put back becomes visible by itself.
    async fn put_back(&self, letters: &[DeadLetter]);

    /// Deletes letters. Returns how many were deleted.
    async fn delete(&self, letters: &[DeadLetter]) -> anyhow::Result<usize>;
}

/// A dead-letter queue and its name.
#[derive(Clone)]
pub struct NamedDeadLetterQueue {
    /// The name of the source, such as `send`.
    pub name: String,
    /// The queue.
    pub queue: Arc<dyn DeadLetterQueue>,
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    const UNKNOWN: &str = "it names no batch, schedule, delivery or sweep";

    /// SQS's event with messages of these bodies.
    fn event(bodies: &[Value]) -> Value {
        let records: Vec<_> = bodies
            .iter()
            .map(|body| json!({"messageId": "m", "body": body.to_string()}))
            .collect();
        json!({"Records": records})
    }

    /// Lambda's record of an event that failed.
    fn failed(payload: &Value) -> Value {
        let context = json!({"condition": "RetriesExhausted"});
        json!({"version": "1.0", "requestContext": context, "requestPayload": payload})
    }

    fn named(body: &str) -> Result<Vec<Named>, &'static str> {
        let letter = DeadLetter {
            body: body.to_owned(),
            ..DeadLetter::default()
        };
        letter.named()
    }

    #[test]
    fn each_form_of_a_dead_letter_is_read() {
        let batch = BatchMessage {
            schedule_id: Uuid::now_v7(),
            batch_no: 7,
        };
        let schedule = DispatchMessage {
            schedule_id: batch.schedule_id,
            version: 2,
        };
        let delivery = DeliveryMessage {
            webhook_id: Uuid::now_v7(),
            event_id: Uuid::now_v7(),
        };
        let sweep = json!({"sweep": true});
        let named_sweep = Named::Sweep(Sweep { sweep: true });
        let table = [
            (json!(batch), vec![Named::Batch(batch)]),
            (json!(schedule), vec![Named::Schedule(schedule)]),
            (sweep.clone(), vec![named_sweep]),
            (json!(delivery), vec![Named::Delivery(delivery)]),
            (failed(&json!(schedule)), vec![Named::Schedule(schedule)]),
            (failed(&sweep), vec![named_sweep]),
            (
                event(&[json!(batch), sweep.clone()]),
                vec![Named::Batch(batch), named_sweep],
            ),
            (
                failed(&event(&[json!(schedule)])),
                vec![Named::Schedule(schedule)],
            ),
        ];
        for (body, expected) in table {
            assert_eq!(named(&body.to_string()), Ok(expected), "{body}");
        }
        assert_eq!(json!(named_sweep), sweep);
    }

    #[test]
    fn other_forms_of_a_dead_letter_are_malformed() {
        let batch = BatchMessage {
            schedule_id: Uuid::now_v7(),
            batch_no: 7,
        };
        let nested = failed(&failed(&failed(&json!({"sweep": true}))));
        let no_body = json!({"Records": [{"messageId": "m"}]});
        let not_json = json!({"Records": [{"body": "hello"}]});
        let table = [
            (nested, "events inside events"),
            (event(&[]), "an event without messages"),
            (no_body, "a record without a body"),
            (not_json, "a record that is not JSON"),
            (event(&[json!(batch), json!({"batch_no": 7})]), UNKNOWN),
            (json!({"schedule_id": "x", "batch_no": 7}), UNKNOWN),
            (json!([1, 2]), UNKNOWN),
            (Value::Null, UNKNOWN),
        ];
        for (body, expected) in table {
            assert_eq!(named(&body.to_string()), Err(expected), "{body}");
        }
        assert_eq!(named("+60123456789,"), Err("not JSON"));
    }
}
