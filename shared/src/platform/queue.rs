//! The queues: ids only, so a message is small, and a duplicate or a lost one costs nothing: the rows are the truth.

use std::sync::Arc;

use anyhow::Context;
use async_trait::async_trait;
use aws_lambda_events::event::sqs::{BatchItemFailure, SqsBatchResponse, SqsEvent};
use aws_sdk_sqs::types::{QueueAttributeName, SendMessageBatchRequestEntry};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use uuid::Uuid;

use crate::platform::{
    backoff::{MAX_DELAY, MESSAGE_EARLY, QUEUE_TRIES, after_queue_refusal},
    db::describe::describe,
};

/// What the send and recheck queues carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedBatch")]
pub struct BatchMessage {
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    pub batch_no: u32,
}

/// What the dispatch queue and the one-time schedules carry.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedSchedule")]
pub struct DispatchMessage {
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// `schedules.version` at that time; an older one is ignored.
    pub version: u32,
}

/// What the notify queue carries.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryMessage {
    /// `webhooks.id`
    pub webhook_id: Uuid,
    /// `webhook_deliveries.event_id`
    pub event_id: Uuid,
}

/// One message to be sent.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// JSON.
    pub body: String,
    /// Seconds, at most 900.
    pub delay_s: u32,
    /// The fair queue's group (`MessageGroupId`): the schedule, so that a large one can't starve small ones; of deliveries the webhook.
    pub group: String,
}

impl Outgoing {
    /// A message for one batch, to arrive shortly before `due`.
    pub fn batch(message: BatchMessage, due: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            body: to_body(&message),
            delay_s: delay_s(due, now),
            group: message.schedule_id.to_string(),
        }
    }

    /// Has dispatch sweep at once: somebody has made batches due, and does not want to wait for the minute.
    pub fn sweep() -> Self {
        Self {
            body: r#"{"sweep":true}"#.to_owned(),
            delay_s: 0,
            group: "sweep".to_owned(),
        }
    }

    /// A message for one delivery, to arrive shortly before `due`.
    pub fn delivery(message: DeliveryMessage, due: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            body: to_body(&message),
            delay_s: delay_s(due, now),
            group: message.webhook_id.to_string(),
        }
    }

    /// A message for dispatch, at once.
    pub fn dispatch(message: DispatchMessage) -> Self {
        Self {
            body: to_body(&message),
            delay_s: 0,
            group: message.schedule_id.to_string(),
        }
    }
}

fn to_body(message: &impl Serialize) -> String {
    // Ids and numbers always serialise.
    serde_json::to_string(message).unwrap_or_default()
}

/// The delay for what is due at `due`: whole seconds, rounded down from 0.8 s early.
pub fn delay_s(due: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    let wait = (due - now)
        .to_std()
        .unwrap_or_default()
        .saturating_sub(MESSAGE_EARLY)
        .min(MAX_DELAY);
    wait.as_secs() as u32
}

/// Whether something due then can be put into a queue now.
pub fn within_reach(due: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (due - now).to_std().unwrap_or_default() <= MAX_DELAY
}

/// One queue.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends all, and returns the places in `messages` of those that were not taken. Never fails as a whole: whoever sends has
    /// rows that the sweep finds.
    async fn send(&self, messages: &[Outgoing]) -> Vec<usize>;

    /// About how many messages wait, visible or delayed.
    async fn backlog(&self) -> anyhow::Result<u64>;
}

/// A queue, held by several.
pub type SharedQueue = Arc<dyn Queue>;

/// `SendMessageBatch` takes ten.
const ENTRIES: usize = 10;
/// Calls in flight at once.
const CALLS: usize = 8;

/// A queue in SQS.
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl SqsQueue {
    /// The queue at that URL.
    pub fn shared(client: aws_sdk_sqs::Client, url: String) -> SharedQueue {
        Arc::new(Self { client, url })
    }

    /// Up to ten messages; a 200 may still carry a `Failed` list, of which all but the sender's own faults are tried again.
    async fn send_ten(&self, first: usize, messages: &[Outgoing]) -> Vec<usize> {
        let mut left: Vec<usize> = (0..messages.len()).collect();
        for tried in 0..QUEUE_TRIES {
            tokio::time::sleep(after_queue_refusal(tried)).await;
            let entries = left.iter().filter_map(|&at| entry(at, &messages[at]));
            let call = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()));
            match call.send().await {
                Ok(answer) => {
                    let taken = |at: &usize| {
                        answer
                            .successful()
                            .iter()
                            .any(|taken| taken.id() == at.to_string())
                    };
                    for failed in answer.failed() {
                        tracing::warn!(
                            sqs.code = failed.code(),
                            sqs.sender_fault = failed.sender_fault(),
                            "SQS refused an entry"
                        );
                    }
                    left.retain(|at| !taken(at));
                    if answer
                        .failed()
                        .iter()
                        .any(aws_sdk_sqs::types::BatchResultErrorEntry::sender_fault)
                    {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %aws_sdk_sqs::error::DisplayErrorContext(&error), "SendMessageBatch failed")
                }
            }
            if left.is_empty() {
                break;
            }
        }
        left.into_iter().map(|at| first + at).collect()
    }
}

fn entry(at: usize, message: &Outgoing) -> Option<SendMessageBatchRequestEntry> {
    let entry = SendMessageBatchRequestEntry::builder()
        .id(at.to_string())
        .message_body(&message.body);
    entry
        .delay_seconds(message.delay_s as i32)
        .message_group_id(&message.group)
        .build()
        .ok()
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<usize> {
        let tens = messages.chunks(ENTRIES).enumerate();
        let calls: Vec<_> = tens
            .map(|(n, ten)| self.send_ten(n * ENTRIES, ten))
            .collect();
        stream::iter(calls)
            .buffer_unordered(CALLS)
            .collect::<Vec<_>>()
            .await
            .concat()
    }

    async fn backlog(&self) -> anyhow::Result<u64> {
        let names = [
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ];
        let call = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(names.to_vec()));
        let answer = call.send().await?;
        let numbers = answer
            .attributes()
            .into_iter()
            .flat_map(std::collections::HashMap::values);
        Ok(numbers
            .filter_map(|number| number.parse::<u64>().ok())
            .sum())
    }
}

/// Reads what a message carries.
pub fn read_body<T: DeserializeOwned>(body: &str) -> anyhow::Result<T> {
    serde_json::from_str(body).context("malformed body")
}

/// Gives each message to `handle`, one after the other; a body that can't be read, or an error, fails that message alone.
pub async fn handle_each<T: DeserializeOwned>(
    event: SqsEvent,
    mut handle: impl AsyncFnMut(T) -> anyhow::Result<()>,
) -> SqsBatchResponse {
    let mut response = SqsBatchResponse::default();
    for record in event.records {
        // An empty identifier would fail the whole batch.
        let Some(message_id) = record.message_id else {
            tracing::error!("a record without a message id is skipped");
            continue;
        };
        let handled = match read_body::<T>(record.body.as_deref().unwrap_or_default()) {
            Ok(message) => handle(message).await,
            Err(error) => Err(error),
        };
        if let Err(error) = handled {
            tracing::error!(
                sqs.message_id = message_id,
                error = describe(&error),
                "message failed"
            );
            let mut failure = BatchItemFailure::default();
            failure.item_identifier = message_id;
            response.batch_item_failures.push(failure);
        }
    }
    response
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;
    use serde_json::json;

    use super::*;

    #[test]
    fn a_message_comes_early_and_never_late() {
        let now = Utc::now();
        for (due_ms, seconds) in [
            (-5000, 0),
            (0, 0),
            (1799, 0),
            (1800, 1),
            (60_000, 59),
            (60_799, 59),
            (900_000, 899),
            (5_000_000, 900),
        ] {
            assert_eq!(
                delay_s(now + TimeDelta::milliseconds(due_ms), now),
                seconds,
                "{due_ms}"
            );
        }
        assert!(
            within_reach(now + TimeDelta::seconds(900), now)
                && !within_reach(now + TimeDelta::seconds(901), now)
        );
    }

    #[tokio::test]
    async fn each_message_is_handled_on_its_own_and_only_the_failed_ones_come_again() {
        let id = Uuid::nil();
        let body = |batch_no: u32| json!({"schedule_id": id, "batch_no": batch_no}).to_string();
        let event = json!({"Records": [
            {"messageId": "good", "body": body(1)},
            {"messageId": "failing", "body": body(2)},
            {"messageId": "not JSON", "body": "+60123456789"},
            {"messageId": "unknown field", "body": json!({"schedule_id": id, "batch_no": 1, "text": "x"}).to_string()},
            {"messageId": "no body"},
            {"body": body(3)},
            {"messageId": "good too", "body": body(4)},
        ]});
        let mut handled = Vec::new();
        let response = handle_each(
            serde_json::from_value(event).unwrap(),
            async |message: BatchMessage| {
                handled.push(message.batch_no);
                anyhow::ensure!(message.batch_no != 2, "failing");
                Ok(())
            },
        )
        .await;
        assert_eq!(
            handled,
            [1, 2, 4],
            "a record without an id could only fail the whole batch"
        );
        let failed: Vec<_> = response
            .batch_item_failures
            .iter()
            .map(|failure| failure.item_identifier.as_str())
            .collect();
        assert_eq!(failed, ["failing", "not JSON", "unknown field", "no body"]);
    }

    #[test]
    fn a_delivery_message_names_ids_only_in_its_webhooks_group() {
        let message = DeliveryMessage {
            webhook_id: Uuid::nil(),
            event_id: Uuid::max(),
        };
        let now = Utc::now();
        let outgoing = Outgoing::delivery(message, now + TimeDelta::seconds(6), now);
        assert_eq!(
            (outgoing.delay_s, outgoing.group.as_str()),
            (5, "00000000-0000-0000-0000-000000000000")
        );
        assert_eq!(
            read_body::<DeliveryMessage>(&outgoing.body).unwrap(),
            message
        );
        assert_eq!(
            Outgoing::delivery(message, now + TimeDelta::hours(2), now).delay_s,
            900
        );
        let more = outgoing.body.replace('}', r#","url":"x"}"#);
        assert!(read_body::<DeliveryMessage>(&more).is_err(), "{more}");
    }

    #[test]
    fn a_batch_message_names_ids_only() {
        let now = Utc::now();
        let message = Outgoing::batch(
            BatchMessage {
                schedule_id: Uuid::nil(),
                batch_no: 7,
            },
            now,
            now,
        );
        assert_eq!(
            message.body,
            r#"{"schedule_id":"00000000-0000-0000-0000-000000000000","batch_no":7}"#
        );
        assert_eq!(
            read_body::<BatchMessage>(&message.body).unwrap().batch_no,
            7
        );
    }
}
