//! The queues. A message carries ids only, so it is small, and a duplicate or lost message does no
//! harm: the rows are the source of truth.

mod handle;
mod sqs;

use std::{sync::Arc, time::Duration};

use async_trait::async_trait;
use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::traces;

pub use self::{
    handle::{handle_each, read_body},
    sqs::SqsQueue,
};

/// The longest delay that SQS accepts.
pub const MAX_DELAY: Duration = Duration::from_secs(900);
/// A message arrives at least this long before its due time, and less than a second more; send
/// waits for the rest, to the millisecond. A delay in whole seconds, rounded up, would be up to a
/// second late; this also hides a cold start. A batch may be claimed three seconds early, so the
/// clocks may differ by one.
const MESSAGE_EARLY: Duration = Duration::from_millis(800);

/// A message of the send and recheck queues.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedBatch")]
pub struct BatchMessage {
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    pub batch_no: u32,
}

/// A message of the dispatch queue and of the one-time schedules.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[schemars(rename = "NamedSchedule")]
pub struct DispatchMessage {
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// `schedules.version` when it was sent; an older version is ignored.
    pub version: u32,
}

/// A message of the notify queue.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DeliveryMessage {
    /// `webhooks.id`
    pub webhook_id: Uuid,
    /// `webhook_deliveries.event_id`
    pub event_id: Uuid,
}

/// The message attribute with the span that has sent a message (W3C Trace Context).
const TRACEPARENT: &str = "traceparent";

/// A message to send.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Outgoing {
    /// The body, JSON.
    pub body: String,
    /// The delay in seconds, at most 900.
    pub delay_s: u32,
    /// The group in the fair queue (`MessageGroupId`): the schedule, so that a large schedule
    /// cannot starve small ones; for deliveries, the webhook.
    pub group: String,
    /// The span that sends it, if traces are exported.
    pub traceparent: Option<String>,
}

impl Outgoing {
    /// Returns a message for one batch that arrives shortly before `due`.
    pub fn batch(message: BatchMessage, due: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            body: to_body(&message),
            delay_s: delay_s(due, now),
            group: message.schedule_id.to_string(),
            traceparent: traces::traceparent_of(message.schedule_id),
        }
    }

    /// Returns a message for a batch that needs no precise time, such as a resend. It arrives up to a
    /// second after `due`, so that no worker waits for it.
    pub fn batch_after(message: BatchMessage, due: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        let wait = (due - now).to_std().unwrap_or_default().min(MAX_DELAY);
        Self {
            delay_s: wait.as_millis().div_ceil(1000) as u32,
            ..Self::batch(message, due, now)
        }
    }

    /// Returns a message that makes dispatch sweep at once, for batches that became due just now.
    pub fn sweep() -> Self {
        Self {
            body: r#"{"sweep":true}"#.to_owned(),
            delay_s: 0,
            group: "sweep".to_owned(),
            traceparent: None,
        }
    }

    /// Returns a message for one delivery that arrives shortly before `due`.
    pub fn delivery(message: DeliveryMessage, due: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self {
            body: to_body(&message),
            delay_s: delay_s(due, now),
            group: message.webhook_id.to_string(),
            traceparent: traces::traceparent(),
        }
    }

    /// Returns a message for dispatch without a delay.
    pub fn dispatch(message: DispatchMessage) -> Self {
        Self {
            body: to_body(&message),
            delay_s: 0,
            group: message.schedule_id.to_string(),
            traceparent: traces::traceparent_of(message.schedule_id),
        }
    }
}

fn to_body(message: &impl Serialize) -> String {
    // Ids and numbers always serialize.
    serde_json::to_string(message).unwrap_or_default()
}

/// Returns the delay of a message that is due at `due`: whole seconds, rounded down from 0.8 s
/// early.
pub fn delay_s(due: DateTime<Utc>, now: DateTime<Utc>) -> u32 {
    let wait = (due - now)
        .to_std()
        .unwrap_or_default()
        .saturating_sub(MESSAGE_EARLY)
        .min(MAX_DELAY);
    wait.as_secs() as u32
}

/// Whether a message that is due at `due` can be enqueued now.
pub fn within_reach(due: DateTime<Utc>, now: DateTime<Utc>) -> bool {
    (due - now).to_std().unwrap_or_default() <= MAX_DELAY
}

/// A queue.
#[async_trait]
pub trait Queue: Send + Sync {
    /// Sends messages and returns the positions in `messages` of those that were not accepted. It
    /// never fails as a whole: each message stands for a row that the sweep finds.
    async fn send(&self, messages: &[Outgoing]) -> Vec<usize>;

    /// Returns the approximate number of messages in the queue, visible or delayed.
    async fn backlog(&self) -> anyhow::Result<u64>;

    /// Returns the approximate number of messages that a worker could receive now.
    async fn visible_messages(&self) -> anyhow::Result<u64>;
}

/// A queue that several owners share.
pub type SharedQueue = Arc<dyn Queue>;

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn a_message_arrives_early_and_never_late() {
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

    #[test]
    fn a_message_without_a_precise_time_arrives_after_it() {
        let now = Utc::now();
        let batch = BatchMessage {
            schedule_id: Uuid::nil(),
            batch_no: 1,
        };
        for (due_ms, seconds) in [
            (-5000, 0),
            (0, 0),
            (1, 1),
            (2000, 2),
            (2001, 3),
            (900_000, 900),
            (5_000_000, 900),
        ] {
            let due = now + TimeDelta::milliseconds(due_ms);
            let message = Outgoing::batch_after(batch, due, now);
            assert_eq!(message.delay_s, seconds, "{due_ms}");
        }
    }

    #[test]
    fn a_delivery_message_contains_only_ids_and_has_its_webhooks_group() {
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
    fn a_batch_message_contains_only_ids() {
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
