//! A queue in memory that remembers delays and can refuse.

use std::{
    collections::HashSet,
    sync::{Arc, Mutex},
};

use async_trait::async_trait;
use shared::platform::queue::{BatchMessage, DeliveryMessage, Outgoing, Queue};

/// See the module.
#[derive(Default)]
pub struct FakeQueue {
    waiting: Mutex<Vec<Outgoing>>,
    refused: Mutex<HashSet<usize>>,
}

impl FakeQueue {
    /// An empty queue that takes everything.
    pub fn new() -> Arc<Self> {
        Arc::default()
    }

    /// Takes all messages out, in the order in which they came.
    pub fn take(&self) -> Vec<Outgoing> {
        std::mem::take(&mut self.waiting.lock().unwrap())
    }

    /// Likewise, as names of batches.
    pub fn take_batches(&self) -> Vec<BatchMessage> {
        let read = |message: &Outgoing| serde_json_body(&message.body);
        self.take().iter().map(read).collect()
    }

    /// Likewise, as names of deliveries.
    pub fn take_deliveries(&self) -> Vec<DeliveryMessage> {
        self.take()
            .iter()
            .map(|message| {
                shared::platform::queue::read_body(&message.body).expect("a delivery message")
            })
            .collect()
    }

    /// Puts the name of a batch on the queue.
    pub async fn send_batch(&self, batch: BatchMessage) {
        let now = chrono::Utc::now();
        self.send(&[Outgoing::batch(batch, now, now)]).await;
    }

    /// Refuses the messages at those places of the next calls.
    pub fn refuse(&self, places: impl IntoIterator<Item = usize>) {
        *self.refused.lock().unwrap() = places.into_iter().collect();
    }
}

fn serde_json_body(body: &str) -> BatchMessage {
    shared::platform::queue::read_body(body).expect("a batch message")
}

#[async_trait]
impl Queue for FakeQueue {
    async fn send(&self, messages: &[Outgoing]) -> Vec<usize> {
        let refused = self.refused.lock().unwrap();
        let (mut failed, mut waiting) = (Vec::new(), self.waiting.lock().unwrap());
        for (place, message) in messages.iter().enumerate() {
            assert!(
                message.delay_s <= 900,
                "SQS takes delays up to 900 s: {message:?}"
            );
            if refused.contains(&place) {
                failed.push(place)
            } else {
                waiting.push(message.clone())
            }
        }
        failed
    }

    async fn backlog(&self) -> anyhow::Result<u64> {
        Ok(self.waiting.lock().unwrap().len() as u64)
    }
}
