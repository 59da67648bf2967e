//! Send: claims a batch, marks its recipients, calls the carrier, records the answers, and releases
//! the batch.
//!
//! The input is a message that names a batch. The output is carrier requests, rows, and a delayed
//! message for recheck that names the batch. If it runs twice, also at the same time, one run
//! claims the batch and the other finds nothing to do: a claim that matches 0 rows is always
//! acknowledged, since the sweep is the second copy of every message.

pub mod config;
pub mod store;

mod lateness;
mod pass;
#[cfg(test)]
mod testing;

use std::time::Duration;

use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::{
        claim::ClaimedBatch,
        rows::{self, BatchRow},
        worker::{Claimed, Work, Worker},
    },
    carrier::capacity::{LimitDefaults, LimitKind},
    message::{status::Status, window::Window},
    platform::{
        budget::Budget,
        config::Env,
        db,
        fault::{self, Point},
        metrics::{self, Counter},
        queue::{self, BatchMessage},
    },
    schedule::status::ScheduleStatus,
};

use crate::{
    lateness::lateness,
    pass::{Pass, figures::Before},
};

/// Limits of the function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Numbers in flight per batch, in one request or in many. A crash leaves at most so many
    /// UNCERTAIN, if the carrier cannot be asked about them.
    pub in_flight: usize,
    /// Longest wait for the carrier's answer.
    pub timeout: Duration,
    /// The deployment's defaults for the carrier's limit on submissions.
    pub limit: LimitDefaults,
}

impl Settings {
    /// Reads `SEND_IN_FLIGHT`, `CARRIER_TIMEOUT_S`, and those of [`LimitDefaults`].
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            in_flight: env.number("SEND_IN_FLIGHT", 1..=10_000, Some(200)) as usize,
            timeout: env.seconds("CARRIER_TIMEOUT_S", 1..=50, Some(20)),
            limit: LimitDefaults::from_env(env, LimitKind::Submit),
        }
    }
}

/// Clients and settings of the function.
pub struct Sender {
    /// Database, queues, carrier and timing.
    pub worker: Worker,
    /// Limits.
    pub settings: Settings,
}

impl Sender {
    /// Handles one invocation. Each message is handled on its own; a message that fails is
    /// delivered again.
    pub async fn handle(&self, event: SqsEvent, budget: Budget) -> SqsBatchResponse {
        queue::handle_each(event, async |message: BatchMessage| {
            self.send_batch(message, budget).await
        })
        .await
    }

    /// Claims a batch, sends what is due, records the answers, and releases the batch.
    pub async fn send_batch(&self, message: BatchMessage, budget: Budget) -> anyhow::Result<()> {
        let Some(mut claimed) = self.worker.claim(message, Work::Send, budget).await? else {
            return Ok(());
        };
        if claimed.batch.schedule_status == ScheduleStatus::Cancelled {
            self.close_pending(&mut claimed).await?;
        } else if claimed.batch.is_over(self.worker.db.now()) {
            self.expire_pending(&mut claimed).await?;
        } else if is_too_late(&claimed, self.worker.db.now()) {
            self.hold_missed(&mut claimed).await?;
        } else {
            self.wait_until_due(&claimed.batch).await;
        }
        let before = Before::of(&claimed.rows);
        let mut pass = Pass::new(self, &mut claimed, budget).await?;
        pass.run().await?;
        let result = pass.finish().await;
        before.record(&claimed);
        if has_pending(&claimed) {
            if claimed.batch.is_over(self.worker.db.now()) {
                self.expire_pending(&mut claimed).await?;
            } else {
                self.postpone_to_window(&mut claimed).await?;
            }
        }
        fault::reach(Point::Recorded, message).await;
        self.worker.release(&claimed, result).await
    }

    /// Closes the recipients of a cancelled schedule that were not sent to.
    async fn close_pending(&self, claimed: &mut Claimed) -> anyhow::Result<()> {
        let Claimed {
            claim, batch, rows, ..
        } = claimed;
        let (db, range) = (&self.worker.db, batch.range());
        let closed = db::retry_lock_conflicts(|| rows::close_pending(db, claim, range, db.now()))
            .await
            .context("closing pending recipients")?;
        tracing::info!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, recipients = closed, "batch closed");
        rows.retain(|row| row.status != Status::Pending);
        Ok(())
    }

    /// Ends the recipients that were not sent to before the end of the schedule.
    async fn expire_pending(&self, claimed: &mut Claimed) -> anyhow::Result<()> {
        let Claimed {
            claim, batch, rows, ..
        } = claimed;
        let (db, range) = (&self.worker.db, batch.range());
        let expired =
            db::retry_lock_conflicts(|| store::expire_pending(db, claim, range, db.now()))
                .await
                .context("expiring pending recipients")?;
        tracing::info!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, recipients = expired, "batch ended: its schedule's end has passed");
        rows.retain(|row| row.status != Status::Pending);
        Ok(())
    }

    /// Holds the recipients that were never sent to until an operator decides. Resends continue by
    /// their policy.
    async fn hold_missed(&self, claimed: &mut Claimed) -> anyhow::Result<()> {
        let Claimed { claim, batch, .. } = claimed;
        let db = &self.worker.db;
        let held = db::retry_lock_conflicts(|| store::hold_missed(db, claim, db.now()))
            .await
            .context("holding a missed batch")?;
        // This pass does not send it in either case. If it is not held, the schedule is not running
        // any more, and the next pass decides.
        batch.missed = true;
        if held {
            metrics::count(Counter::BatchesMissed, 1);
            tracing::error!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, "batch missed");
        }
        Ok(())
    }

    /// Plans the recipients that were not sent to for the next opening of the window, if it is
    /// closed now. Lateness counts from there.
    async fn postpone_to_window(&self, claimed: &mut Claimed) -> anyhow::Result<()> {
        let Claimed { claim, batch, .. } = claimed;
        let (db, now) = (&self.worker.db, self.worker.db.now());
        let Some(window) =
            Window::of(batch.send_window.as_deref()).filter(|window| !window.is_open(now))
        else {
            return Ok(());
        };
        let opens = window.next_open(now);
        db::retry_lock_conflicts(|| store::postpone(db, claim, opens))
            .await
            .context("postponing the batch")?;
        batch.planned_at = opens;
        tracing::info!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, until = %opens, "batch postponed: its window is closed");
        Ok(())
    }

    /// Waits for the due time, since a message arrives a little early: nothing is marked before it.
    async fn wait_until_due(&self, batch: &ClaimedBatch) {
        while let Some(Ok(wait)) = batch
            .send_at
            .map(|send_at| (send_at - self.worker.db.now()).to_std())
            && !wait.is_zero()
        {
            tokio::time::sleep(wait).await;
        }
    }
}

/// Returns whether an outage has delayed the batch for longer than its schedule allows, with
/// recipients that were never sent to. A resend that was not accepted yet is none of them.
fn is_too_late(claimed: &Claimed, now: DateTime<Utc>) -> bool {
    let Claimed { batch, rows, .. } = claimed;
    let is_new = |row: &BatchRow| row.status == Status::Pending && row.resends == 0;
    !batch.missed
        && rows.iter().any(is_new)
        && lateness(batch, now) > TimeDelta::seconds(batch.max_lateness_s.into())
}

/// Returns whether recipients of a running schedule are left that no operator has to decide about.
fn has_pending(claimed: &Claimed) -> bool {
    let Claimed { batch, rows, .. } = claimed;
    !batch.missed
        && batch.schedule_status != ScheduleStatus::Cancelled
        && rows.iter().any(|row| row.status == Status::Pending)
}
