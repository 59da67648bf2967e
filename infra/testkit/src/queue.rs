//! A queue in memory that keeps each message's delay and can refuse messages.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use shared::platform::queue::{BatchMessage, DeliveryMessage, Outgoing, Queue};

/// A queue in memory.
#[derive(Default)]
pub struct FakeQueue {
    waiting: Mutex<Vec<Outgoing>>,
    refused: Mutex<HashSet<usize>>,
}

impl FakeQueue {
    /// Creates an empty queue that accepts all messages.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Removes all messages and returns them in the order in which they were sent.
    pub fn take(&self) -> Vec<Outgoing> {
        std::mem::take(&mut self.waiting.lock().unwrap())
    }

    /// Removes all messages and returns them as batch messages.
    pub fn take_batches(&self) -> Vec<BatchMessage> {
        self.take()
            .iter()
            .map(|message| {
                shared::platform::queue::read_body(&message.body).expect("a batch message")
            })
            .collect()
    }

    /// Removes all messages and returns them as delivery messages.
    pub fn take_deliveries(&self) -> Vec<DeliveryMessage> {
        self.take()
            .iter()
            .map(|message| {
                shared::platform::queue::read_body(&message.body).expect("a delivery message")
            })
            .collect()
    }

    /// Sends a batch message.
    pub async fn send_batch(&self, batch: BatchMessage) {
        let now = chrono::Utc::now();
        self.send(&[Outgoing::batch(batch, now, now)]).await;
    }

    /// Refuses the messages at these positions of all further calls.
    pub fn refuse(&self, places: impl IntoIterator<Item = usize>) {
        *self.refused.lock().unwrap() = places.into_iter().collect();
    }
}

#[async_trait]
impl Queue for FakeQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<usize> {
        let refused = self.refused.lock().unwrap();
        let (mut failed, mut waiting) = (Vec::new(), self.waiting.lock().unwrap());
        for (place, message) in messages.iter().enumerate() {
            assert!(
                message.delay_s <= 900,
                "SQS accepts delays up to 900 s: {message:?}"
            );
            if refused.contains(&place) {
                failed.push(place);
            } else {
                waiting.push(message.clone());
            }
        }
        failed
    }

    async fn backlog(&self) -> anyhow::Result<u64> {
        Ok(self.waiting.lock().unwrap().len() as u64)
    }

    /// Returns all messages: this queue has no clock.
    async fn visible_messages(&self) -> anyhow::Result<u64> {
        self.backlog().await
    }
}
