//! The metrics of a pass, and whether a batch is delivered clearly worse than those before it.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::{
    batch::{rows::BatchRow, worker::Claimed},
    carrier::{StatusAnswer, StatusError},
    message::status::Status,
    platform::{
        db::describe::describe_one,
        metrics::{self, Counter, Measure},
    },
};

use crate::{Rechecker, store};

/// A batch with fewer ended messages shows nothing.
const LEAST_ENDED: u64 = 100;
/// Fewer ended messages in the batches before it are no history.
const LEAST_HISTORY: u64 = 500;
/// The share has fallen clearly if it is this much lower: six times the standard deviation of the
/// share of [`LEAST_ENDED`] messages of which nine in ten are delivered.
const FALL: f64 = 0.2;
/// The batches before it that are its history. They are read by their primary key.
const HISTORY: u32 = 20;

/// Records the answer to a status query, and how long it took.
pub fn record_query(answer: &Result<StatusAnswer, StatusError>, took: Duration) {
    metrics::count(Counter::Rechecks, 1);
    let failed = match answer {
        Ok(_) => false,
        Err(StatusError::Busy { .. }) => {
            metrics::count(Counter::CarrierBusy, 1);
            false
        }
        Err(StatusError::Failed { .. } | StatusError::AccountRefused { .. }) => {
            metrics::count(Counter::StatusQueriesFailed, 1);
            true
        }
    };
    metrics::record(Measure::CarrierFailures, f64::from(u8::from(failed) * 100));
    metrics::record_time(Measure::StatusLatency, took);
}

/// Records a message whose status has changed at `now`, if it has ended.
pub fn record_update(row: &BatchRow, now: DateTime<Utc>) {
    if row.status == Status::Delivrd {
        metrics::count(Counter::Delivered, 1);
        if let Some(Ok(time)) = row.sent_at.map(|sent_at| (now - sent_at).to_std()) {
            metrics::record_time(Measure::TimeToDelivered, time);
        }
    } else if row.status.is_final() {
        metrics::count(Counter::Undelivered, 1);
    }
}

/// The ended messages of some batches, and those that were delivered.
#[derive(Clone, Copy, Debug)]
pub struct Ended {
    /// DELIVRD.
    pub delivered: u64,
    /// All that have ended, except CANCELLED and SUPPRESSED ones.
    pub all: u64,
}

impl Ended {
    fn share(self) -> f64 {
        self.delivered as f64 / self.all.max(1) as f64
    }

    /// Returns whether the share of this batch is clearly lower than that of those before it.
    fn is_fall_from(self, before: Self) -> bool {
        self.all >= LEAST_ENDED
            && before.all >= LEAST_HISTORY
            && self.share() < before.share() - FALL
    }
}

impl Rechecker {
    /// Compares the DELIVRD share of a batch with that of the batches before it. Its history is that
    /// of its own schedule, since countries and lists differ. Failures arrive late in each of them, so
    /// that a batch that is still checked looks better than it is, not worse.
    pub(crate) async fn compare_share(&self, claimed: &Claimed) {
        let batch = claimed.claim.batch;
        let recipients = u64::from(claimed.batch.last_seq - claimed.batch.first_seq) + 1;
        if batch.batch_no == 1 || recipients < LEAST_ENDED {
            return;
        }
        match store::read_ended(&self.worker.db, batch, HISTORY).await {
            Ok((own, before)) => {
                metrics::count(Counter::DeliveryShareDrops, own.is_fall_from(before).into());
            }
            Err(error) => {
                tracing::warn!(error = describe_one(&error), "the share could not be read");
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_share_falls_clearly_or_not_at_all() {
        for (own, before, falls) in [
            ((60, 100), (450, 500), true),
            ((75, 100), (450, 500), false),
            ((0, 99), (500, 500), false),
            ((0, 100), (499, 499), false),
            ((0, 100), (50, 500), false),
            ((100, 100), (0, 500), false),
        ] {
            let ended = |(delivered, all)| Ended { delivered, all };
            assert_eq!(
                ended(own).is_fall_from(ended(before)),
                falls,
                "{own:?} {before:?}"
            );
        }
    }
}
