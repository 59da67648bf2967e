//! A queue in Amazon SQS.

use std::{collections::HashMap, sync::Arc, time::Duration};

use async_trait::async_trait;
use aws_sdk_sqs::{
    error::DisplayErrorContext,
    operation::send_message_batch::SendMessageBatchOutput,
    types::{
        BatchResultErrorEntry, MessageAttributeValue, QueueAttributeName,
        SendMessageBatchRequestEntry,
    },
};
use futures_util::{StreamExt, stream};
use tracing::Instrument;

use super::{Outgoing, Queue, SharedQueue, TRACEPARENT};
use crate::platform::logs::context::enqueue_span;

/// How often an entry is sent that SQS reports as failed; the sweep finds the rest.
const TRIES: u32 = 3;

/// Returns the delay before the entries are sent that were refused `tries` times.
const fn before_try(tries: u32) -> Duration {
    Duration::from_millis(50 * tries as u64 * tries as u64)
}

/// The most entries of one `SendMessageBatch` call.
const ENTRIES: usize = 10;
/// Concurrent calls.
const CALLS: usize = 8;

/// A queue in SQS.
pub struct SqsQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl SqsQueue {
    /// Returns the queue at `url`.
    pub fn shared(client: aws_sdk_sqs::Client, url: String) -> SharedQueue {
        Arc::new(Self { client, url })
    }

    /// Sends up to ten messages. A 200 may still contain a `Failed` list; its entries are retried,
    /// unless one is a fault of the sender.
    async fn send_ten(&self, first: usize, messages: &[Outgoing]) -> Vec<usize> {
        let mut left: Vec<usize> = (0..messages.len()).collect();
        for tries in 0..TRIES {
            tokio::time::sleep(before_try(tries)).await;
            let entries = left.iter().filter_map(|&at| entry(at, &messages[at]));
            let call = self
                .client
                .send_message_batch()
                .queue_url(&self.url)
                .set_entries(Some(entries.collect()));
            match call.send().await {
                Ok(answer) => {
                    left.retain(|at| !is_accepted(&answer, *at));
                    log_refused(&answer);
                    if answer
                        .failed()
                        .iter()
                        .any(BatchResultErrorEntry::sender_fault)
                    {
                        break;
                    }
                }
                Err(error) => {
                    tracing::warn!(error = %DisplayErrorContext(&error), "SendMessageBatch failed");
                }
            }
            if left.is_empty() {
                break;
            }
        }
        left.into_iter().map(|at| first + at).collect()
    }

    /// Returns the sum of attributes that are numbers of messages.
    async fn count(&self, names: &[QueueAttributeName]) -> anyhow::Result<u64> {
        let call = self
            .client
            .get_queue_attributes()
            .queue_url(&self.url)
            .set_attribute_names(Some(names.to_vec()));
        let answer = call.send().await?;
        let numbers = answer.attributes().into_iter().flat_map(HashMap::values);
        Ok(numbers
            .filter_map(|number| number.parse::<u64>().ok())
            .sum())
    }
}

fn is_accepted(answer: &SendMessageBatchOutput, at: usize) -> bool {
    let id = at.to_string();
    answer.successful().iter().any(|entry| entry.id() == id)
}

fn log_refused(answer: &SendMessageBatchOutput) {
    for failed in answer.failed() {
        tracing::warn!(
            sqs.code = failed.code(),
            sqs.sender_fault = failed.sender_fault(),
            "SQS refused an entry"
        );
    }
}

fn entry(at: usize, message: &Outgoing) -> Option<SendMessageBatchRequestEntry> {
    let entry = SendMessageBatchRequestEntry::builder()
        .id(at.to_string())
        .message_body(&message.body);
    let entry = entry
        .delay_seconds(message.delay_s as i32)
        .message_group_id(&message.group);
    match message.traceparent.as_deref().and_then(text_attribute) {
        Some(traceparent) => entry.message_attributes(TRACEPARENT, traceparent),
        None => entry,
    }
    .build()
    .ok()
}

fn text_attribute(text: &str) -> Option<MessageAttributeValue> {
    let attribute = MessageAttributeValue::builder().data_type("String");
    attribute.string_value(text).build().ok()
}

#[async_trait]
impl Queue for SqsQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<usize> {
        let tens = messages.chunks(ENTRIES).enumerate();
        let calls: Vec<_> = tens
            .map(|(n, ten)| self.send_ten(n * ENTRIES, ten))
            .collect();
        let span = enqueue_span(messages.len());
        let sent = stream::iter(calls)
            .buffer_unordered(CALLS)
            .collect::<Vec<_>>();
        let refused = sent.instrument(span.clone()).await.concat();
        span.record("refused", refused.len());
        refused
    }

    async fn backlog(&self) -> anyhow::Result<u64> {
        self.count(&[
            QueueAttributeName::ApproximateNumberOfMessages,
            QueueAttributeName::ApproximateNumberOfMessagesDelayed,
        ])
        .await
    }

    async fn visible_messages(&self) -> anyhow::Result<u64> {
        self.count(&[QueueAttributeName::ApproximateNumberOfMessages])
            .await
    }
}
