//! The dead-letter queues: what nobody could do. A letter names rows at most, and the rows are the truth, so nothing in it is lost when
//! it is deleted; what names nothing was made by somebody else, and is for a person to look at.

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use async_trait::async_trait;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

use shared::platform::queue::{BatchMessage, DeliveryMessage, DispatchMessage, read_body};

/// A message that an operator looks at is hidden from other readers for this long, unless it is put
/// back earlier.
const HIDDEN_WHILE_READ: Duration = Duration::from_secs(30);

/// Of SQS's many servers all are asked, not some.
const LONG_POLL_S: i32 = 1;
/// What SQS takes and gives in one call.
const BATCH: usize = 10;

/// A letter, as it lies in its queue.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DeadLetter {
    /// The queue's name of it.
    pub message_id: String,
    /// The right to delete it, or to put it back.
    pub receipt: String,
    /// What it says.
    pub body: String,
    /// When it was sent at first.
    pub sent_at: Option<DateTime<Utc>>,
}

/// What a letter names.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(untagged)]
#[schemars(rename = "NamedInLetter")]
pub enum Named {
    /// A batch that send or recheck could not take.
    Batch(BatchMessage),
    /// A schedule that dispatch could not take, or was not given.
    Schedule(DispatchMessage),
    /// A delivery that notify could not take.
    Delivery(DeliveryMessage),
    /// A sweep; the next one does the same.
    Sweep(Sweep),
}

/// `{"sweep":true}`
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedSweep")]
pub struct Sweep {
    sweep: bool,
}

/// A letter may hold an event, which holds messages; nothing lies deeper.
const DEPTH: u32 = 3;

impl DeadLetter {
    /// What it names, or why it names nothing. Four shapes: our own messages; Lambda's record of a failed event (`requestPayload`), SQS's
    /// event (`Records`), and what EventBridge could not hand over, which is the event itself.
    pub fn named(&self) -> Result<Vec<Named>, &'static str> {
        let body = serde_json::from_str(&self.body).map_err(|_| "not JSON")?;
        let mut named = Vec::new();
        collect(body, DEPTH, &mut named)?;
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
    named.push(read.map_err(|_| "it names no batch, no schedule, no delivery and no sweep")?);
    Ok(())
}

/// One dead-letter queue.
#[async_trait]
pub trait DeadLetterQueue: Send + Sync {
    /// About how many letters there are, those included that somebody looks at right now.
    async fn count(&self) -> anyhow::Result<u64>;

    /// Takes up to `limit` letters, and hides them from others until they are put back, or for half a minute.
    async fn take(&self, limit: usize) -> anyhow::Result<Vec<DeadLetter>>;

    /// Shows letters to others again. One that cannot be put back shows by itself.
    async fn put_back(&self, letters: &[DeadLetter]);

    /// Deletes letters, and returns how many it was.
    async fn delete(&self, letters: &[DeadLetter]) -> anyhow::Result<usize>;
}

/// A dead-letter queue and what it is called.
#[derive(Clone)]
pub struct DeadLetters {
    /// Whose letters they are, such as `send`.
    pub name: String,
    /// Where they lie.
    pub letters: Arc<dyn DeadLetterQueue>,
}

/// A dead-letter queue in SQS.
pub struct SqsDeadLetterQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl SqsDeadLetterQueue {
    /// The queue at that URL.
    pub fn shared(client: aws_sdk_sqs::Client, url: String) -> Arc<dyn DeadLetterQueue> {
        Arc::new(Self { client, url })
    }
}

fn letter(message: Message) -> DeadLetter {
    let sent_at = message
        .attributes()
        .and_then(|attributes| attributes.get(&MessageSystemAttributeName::SentTimestamp));
    DeadLetter {
        sent_at: sent_at.and_then(|millis| DateTime::from_timestamp_millis(millis.parse().ok()?)),
        message_id: message.message_id.unwrap_or_default(),
        receipt: message.receipt_handle.unwrap_or_default(),
        body: message.body.unwrap_or_default(),
    }
}

#[async_trait]
impl DeadLetterQueue for SqsDeadLetterQueue {
    async fn count(&self) -> anyhow::Result<u64> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesNotVisible,
        ];
        let call = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(names.to_vec()));
        let answer = call.send().await.context("GetQueueAttributes")?;
        let numbers = answer
            .attributes()
            .into_iter()
            .flat_map(std::collections::HashMap::values);
        Ok(numbers
            .filter_map(|number| number.parse::<u64>().ok())
            .sum())
    }

    async fn take(&self, limit: usize) -> anyhow::Result<Vec<DeadLetter>> {
        let mut letters: Vec<DeadLetter> = Vec::new();
        while letters.len() < limit {
            let call = self
                .client
                .receive_message()
                .queue_url(&self.url)
                .wait_time_seconds(LONG_POLL_S);
            let call = call.max_number_of_messages((limit - letters.len()).min(BATCH) as i32);
            let call = call.visibility_timeout(HIDDEN_WHILE_READ.as_secs() as i32);
            let answer = call
                .message_system_attribute_names(MessageSystemAttributeName::SentTimestamp)
                .send()
                .await;
            let messages = match answer {
                Ok(answer) => answer.messages.unwrap_or_default(),
                Err(error) => {
                    self.put_back(&letters).await;
                    return Err(error).context("ReceiveMessage");
                }
            };
            if messages.is_empty() {
                break;
            }
            letters.extend(messages.into_iter().map(letter));
        }
        Ok(letters)
    }

    async fn put_back(&self, letters: &[DeadLetter]) {
        for ten in letters.chunks(BATCH) {
            let entries = ten.iter().enumerate().filter_map(|(at, letter)| {
                let entry = ChangeMessageVisibilityBatchRequestEntry::builder().id(at.to_string());
                entry
                    .receipt_handle(&letter.receipt)
                    .visibility_timeout(0)
                    .build()
                    .ok()
            });
            let call = self
                .client
                .change_message_visibility_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()));
            if let Err(error) = call.send().await {
                let error = aws_sdk_sqs::error::DisplayErrorContext(&error).to_string();
                tracing::warn!(
                    error,
                    "letters were not put back; they show in half a minute"
                );
            }
        }
    }

    async fn delete(&self, letters: &[DeadLetter]) -> anyhow::Result<usize> {
        let mut deleted = 0;
        for ten in letters.chunks(BATCH) {
            let entries = ten.iter().enumerate().filter_map(|(at, letter)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(at.to_string())
                    .receipt_handle(&letter.receipt)
                    .build()
                    .ok()
            });
            let call = self
                .client
                .delete_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()));
            deleted += call
                .send()
                .await
                .context("DeleteMessageBatch")?
                .successful()
                .len();
        }
        Ok(deleted)
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;
    use uuid::Uuid;

    use super::*;

    #[test]
    fn every_shape_of_a_letter_is_read_and_no_other() {
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
        let (sweep, named_sweep) = (json!({"sweep": true}), Named::Sweep(Sweep { sweep: true }));
        let event = |bodies: &[Value]| {
            let records: Vec<_> = bodies
                .iter()
                .map(|body| json!({"messageId": "m", "body": body.to_string()}))
                .collect();
            json!({"Records": records})
        };
        let failed = |payload: &Value| json!({"version": "1.0", "requestContext": {"condition": "RetriesExhausted"}, "requestPayload": payload});
        let (batch_body, schedule_body) = (json!(batch), json!(schedule));
        let table: Vec<(Value, Result<Vec<Named>, &str>)> = vec![
            (batch_body.clone(), Ok(vec![Named::Batch(batch)])),
            (schedule_body.clone(), Ok(vec![Named::Schedule(schedule)])),
            (sweep.clone(), Ok(vec![named_sweep])),
            (json!(delivery), Ok(vec![Named::Delivery(delivery)])),
            (failed(&schedule_body), Ok(vec![Named::Schedule(schedule)])),
            (failed(&sweep), Ok(vec![named_sweep])),
            (
                event(&[batch_body.clone(), sweep.clone()]),
                Ok(vec![Named::Batch(batch), named_sweep]),
            ),
            (
                failed(&event(std::slice::from_ref(&schedule_body))),
                Ok(vec![Named::Schedule(schedule)]),
            ),
            (
                failed(&failed(&failed(&sweep))),
                Err("events inside events"),
            ),
            (event(&[]), Err("an event without messages")),
            (
                json!({"Records": [{"messageId": "m"}]}),
                Err("a record without a body"),
            ),
            (
                json!({"Records": [{"body": "hello"}]}),
                Err("a record that is not JSON"),
            ),
            (
                event(&[batch_body, json!({"batch_no": 7})]),
                Err("it names no batch, no schedule, no delivery and no sweep"),
            ),
            (
                json!({"schedule_id": "x", "batch_no": 7}),
                Err("it names no batch, no schedule, no delivery and no sweep"),
            ),
            (
                json!([1, 2]),
                Err("it names no batch, no schedule, no delivery and no sweep"),
            ),
            (
                Value::Null,
                Err("it names no batch, no schedule, no delivery and no sweep"),
            ),
        ];
        for (body, expected) in table {
            let letter = DeadLetter {
                body: body.to_string(),
                ..DeadLetter::default()
            };
            assert_eq!(letter.named(), expected, "{body}");
        }
        assert_eq!(
            DeadLetter {
                body: "+60123456789,".into(),
                ..DeadLetter::default()
            }
            .named(),
            Err("not JSON")
        );
        assert_eq!(json!(named_sweep), sweep);
    }
}
