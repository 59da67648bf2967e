//! How a pass ends.

use std::time::Duration;

use shared::{
    batch::{claim::ClaimedBatch, release::PassResult},
    platform::backoff::Backoff,
};

/// The result of a pass so far.
#[derive(Debug, Default)]
pub struct PassSummary {
    /// Nothing more is started: the batch is released, and its rest waits for another pass.
    pub stopped: bool,
    /// The carrier accepted a message.
    pub accepted: bool,
    /// The carrier refused a request.
    pub refused: bool,
    /// The pause that the carrier asked for with its last "not accepted".
    pub retry_after: Option<Duration>,
}

impl PassSummary {
    /// Returns how the pass ended, and how long the rest of the batch waits for the next pass.
    pub fn result(&self, batch: &ClaimedBatch, backoff: &Backoff) -> PassResult {
        let tries = if self.accepted { 1 } else { batch.tries };
        let wait = if self.refused {
            backoff.after_refusal(batch.refusals + 1)
        } else {
            backoff.through_queue(tries, self.retry_after)
        };
        PassResult::Sent {
            accepted: self.accepted,
            refused: self.refused,
            was_busy: false,
            wait,
            back_to_waiting: false,
        }
    }
}
