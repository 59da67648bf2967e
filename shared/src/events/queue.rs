//! Puts recorded deliveries on notify's queue, after the commit of the change that they belong to.
//!
//! If the queue refuses a message, or the process ends before it is sent, the delivery is late by
//! a minute at most: the sweep finds the row.

use chrono::{DateTime, Utc};

use crate::platform::queue::{DeliveryMessage, Outgoing, SharedQueue};

/// Enqueues deliveries that are due at once. A message that the queue refuses is left to the
/// sweep.
pub async fn enqueue(queue: &SharedQueue, deliveries: &[DeliveryMessage], now: DateTime<Utc>) {
    if deliveries.is_empty() {
        return;
    }
    let messages: Vec<_> = deliveries
        .iter()
        .map(|&delivery| Outgoing::delivery(delivery, now, now))
        .collect();
    queue.send(&messages).await;
}
