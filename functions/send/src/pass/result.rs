//! How a pass ends.

use std::time::Duration;

use shared::{
    batch::{claim::ClaimedBatch, release::PassResult},
    platform::{backoff::Backoff, logs::context::CarrierRequests},
};

/// Passes in a row with refused requests and without an acceptance after which the schedule is
/// paused: the carrier refuses everybody, for a reason that no table contains.
const MOST_REFUSED_PASSES: u32 = 3;

/// The result of a pass so far.
#[derive(Debug, Default)]
pub struct PassSummary {
    /// Nothing more is started: the batch is released, and its rest waits for another pass.
    pub stopped: bool,
    /// The carrier accepted a message.
    pub accepted: bool,
    /// Requests that the carrier accepted.
    pub accepted_requests: u32,
    /// The carrier's text of the last request that it refused.
    pub refusal: Option<String>,
    /// The last 429 of the carrier.
    pub busy: Option<Busy>,
    /// The requests to the carrier.
    pub carrier: CarrierRequests,
    /// An answer was lost.
    pub lost: bool,
    /// The pass has stopped because its turn comes only after this time.
    pub turn_in: Option<Duration>,
}

/// An answer 429.
#[derive(Clone, Copy, Debug)]
pub struct Busy {
    /// The pause that the carrier asked for.
    pub retry_after: Option<Duration>,
}

impl PassSummary {
    /// Returns how the pass ended, and how long the rest of the batch waits for the next pass.
    pub fn result(&self, batch: &ClaimedBatch, backoff: &Backoff) -> PassResult {
        let tries = if self.accepted { 1 } else { batch.tries };
        let refused = self.refusal.is_some() && !self.accepted;
        let wait = if let Some(turn_in) = self.turn_in {
            turn_in
        } else if refused {
            backoff.after_refusal(batch.refusals + 1)
        } else {
            let retry_after = self.busy.and_then(|busy| busy.retry_after);
            backoff.through_queue(tries, retry_after)
        };
        PassResult::Sent {
            accepted: self.accepted,
            refused,
            was_busy: self.busy.is_some(),
            wait,
            // After a lost answer the next pass is careful, and so has to be counted as a try.
            back_to_waiting: self.turn_in.is_some() && !self.lost,
        }
    }

    /// Returns the carrier's text if the schedule has to be paused: the carrier has refused
    /// everything in this pass and in those before it.
    pub fn refuses_everybody(&self, batch: &ClaimedBatch) -> Option<&str> {
        let passes = batch.refusals + 1;
        (!self.accepted && passes >= MOST_REFUSED_PASSES)
            .then_some(self.refusal.as_deref())
            .flatten()
    }
}

#[cfg(test)]
mod tests {
    use chrono::Utc;

    use super::*;
    use crate::testing::batch;

    #[test]
    fn the_third_pass_in_which_all_is_refused_pauses_the_schedule() {
        let refused = PassSummary {
            refusal: Some("400 no".to_owned()),
            ..PassSummary::default()
        };
        let mut batch = batch(Utc::now());
        assert_eq!(refused.refuses_everybody(&batch), None);
        batch.refusals = 2;
        assert_eq!(refused.refuses_everybody(&batch), Some("400 no"));
        let accepted = PassSummary {
            accepted: true,
            ..refused
        };
        assert_eq!(accepted.refuses_everybody(&batch), None);
        assert!(!accepted.result(&batch, &Backoff::default()).refused());
    }

    #[test]
    fn a_pass_whose_turn_comes_later_goes_back_to_waiting_unless_it_lost_an_answer() {
        let batch = batch(Utc::now());
        let turn_in = Some(Duration::from_secs(30));
        for (lost, back) in [(false, true), (true, false)] {
            let summary = PassSummary {
                lost,
                turn_in,
                ..PassSummary::default()
            };
            let result = summary.result(&batch, &Backoff::default());
            assert_eq!(result.back_to_waiting(), back);
            assert!(matches!(result, PassResult::Sent { wait, .. } if Some(wait) == turn_in));
        }
    }
}
