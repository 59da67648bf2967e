//! A dead-letter queue in SQS.

use std::{collections::HashMap, sync::Arc, time::Duration};

use anyhow::Context;
use async_trait::async_trait;
use aws_sdk_sqs::types::{
    ChangeMessageVisibilityBatchRequestEntry, DeleteMessageBatchRequestEntry, Message,
    MessageSystemAttributeName, QueueAttributeName,
};
use chrono::DateTime;

use super::{DeadLetter, DeadLetterQueue};

/// A message that a call reads is hidden from other calls for this long, unless it is put back
/// earlier.
const HIDDEN_WHILE_READ: Duration = Duration::from_secs(30);
/// A wait of any length makes SQS query all of its servers instead of a subset.
const LONG_POLL_S: i32 = 1;
/// The number of messages that SQS accepts and returns in one call.
const BATCH: usize = 10;

/// A dead-letter queue in SQS.
pub struct SqsDeadLetterQueue {
    client: aws_sdk_sqs::Client,
    url: String,
}

impl SqsDeadLetterQueue {
    /// Returns the queue at this URL.
    pub fn shared(client: aws_sdk_sqs::Client, url: String) -> Arc<dyn DeadLetterQueue> {
        Arc::new(Self { client, url })
    }
}

fn dead_letter(message: Message) -> DeadLetter {
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
        let numbers = answer.attributes().into_iter().flat_map(HashMap::values);
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
            letters.extend(messages.into_iter().map(dead_letter));
        }
        Ok(letters)
    }

    async fn put_back(&self, letters: &[DeadLetter]) {
        for chunk in letters.chunks(BATCH) {
            let entries = chunk.iter().enumerate().filter_map(|(index, letter)| {
                let entry =
                    ChangeMessageVisibilityBatchRequestEntry::builder().id(index.to_string());
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
                    "dead letters were not put back; they become visible in half a minute"
                );
            }
        }
    }

    async fn delete(&self, letters: &[DeadLetter]) -> anyhow::Result<usize> {
        let mut deleted = 0;
        for chunk in letters.chunks(BATCH) {
            let entries = chunk.iter().enumerate().filter_map(|(index, letter)| {
                DeleteMessageBatchRequestEntry::builder()
                    .id(index.to_string())
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
