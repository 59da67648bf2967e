//! Send: claims a batch, marks its recipients, calls the carrier, records the answers, releases the batch.
//!
//! In comes the name of a batch; out go carrier requests, rows, and the name of the batch again with a delay, for recheck. Run
//! twice, or twice at once, one run claims the batch and the other finds nothing to do: 0 rows at the claim are always
//! acknowledged, since the sweep is the second copy of every message.

pub mod store;

mod outcome;
mod pace;
mod pass;
mod trouble;

use std::time::Duration;

use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, TimeDelta, Utc};
use pass::Pass;
use shared::{
    batch::{
        claim::ClaimedBatch,
        rows,
        worker::{Claimed, Work, Worker},
    },
    message::{status::Status, window::Window},
    platform::{
        budget::Budget,
        config::Env,
        db,
        fault::{self, Point},
        queue::{self, BatchMessage},
    },
    schedule::status::ScheduleStatus,
};

/// The numbers that send works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Requests in flight per batch. A crash leaves that many requests UNCERTAIN where the carrier can't be asked.
    pub in_flight: usize,
    /// Longest wait for the carrier's answer.
    pub timeout: Duration,
    /// Message parts a second that this environment may send: the carrier's limit, shared among all of them.
    pub parts_per_second: Option<f64>,
}

impl Settings {
    /// `SEND_IN_FLIGHT`, `CARRIER_TIMEOUT_S`, `CARRIER_PARTS_PER_SECOND` (0: no limit), `SEND_CONCURRENCY`.
    pub fn from_env(env: &mut Env) -> Self {
        let limit = env.number("CARRIER_PARTS_PER_SECOND", 0..=1_000_000, Some(0));
        let concurrency = env.number("SEND_CONCURRENCY", 1..=1000, None);
        Self {
            in_flight: env.number("SEND_IN_FLIGHT", 1..=100, Some(2)) as usize,
            timeout: env.seconds("CARRIER_TIMEOUT_S", 1..=50, Some(20)),
            parts_per_second: (limit > 0).then(|| f64::from(limit) / f64::from(concurrency.max(1))),
        }
    }
}

/// Clients and settings of the function.
pub struct Sender {
    /// Database, queues, carrier and timing.
    pub worker: Worker,
    /// The numbers.
    pub settings: Settings,
}

impl Sender {
    /// One invocation: each message on its own; what fails comes again.
    pub async fn handle(&self, event: SqsEvent, budget: Budget) -> SqsBatchResponse {
        queue::handle_each(event, async |message: BatchMessage| {
            self.send_batch(message, budget).await
        })
        .await
    }

    /// Claim, do, record, release.
    pub async fn send_batch(&self, message: BatchMessage, budget: Budget) -> anyhow::Result<()> {
        let Some(mut claimed) = self.worker.claim(message, Work::Send, budget).await? else {
            return Ok(());
        };
        if claimed.batch.schedule_status == ScheduleStatus::Cancelled {
            self.close(&mut claimed).await?;
        } else if is_too_late(&claimed, self.worker.db.now()) {
            self.hold(&mut claimed).await?;
        } else {
            self.wait_until_due(&claimed.batch).await;
        }
        let mut pass = Pass::new(self, &mut claimed, budget).await?;
        pass.run().await?;
        let ended = pass.ended();
        self.put_off(&mut claimed).await?;
        fault::reach(Point::Recorded, message).await;
        self.worker.release(&claimed, ended).await
    }

    /// Ends what was not sent.
    async fn close(&self, claimed: &mut Claimed) -> anyhow::Result<()> {
        let Claimed { claim, batch, rows } = claimed;
        let (db, range) = (&self.worker.db, batch.range());
        let closed = db::retry_lock_conflicts(|| rows::close_pending(db, claim, range, db.now()))
            .await
            .context("closing")?;
        tracing::info!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, recipients = closed, "batch closed");
        rows.retain(|row| row.status != Status::Pending);
        Ok(())
    }

    /// Holds what was not sent, for a person to decide; what was sent before goes on by its policy.
    async fn hold(&self, claimed: &mut Claimed) -> anyhow::Result<()> {
        let Claimed { claim, batch, .. } = claimed;
        let db = &self.worker.db;
        let held = db::retry_lock_conflicts(|| store::hold_missed(db, claim, db.now()))
            .await
            .context("holding")?;
        // In this pass it is not sent either way; not held, the schedule is not running any more, and the next pass decides.
        batch.missed = true;
        if held {
            tracing::error!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, "batch missed");
        }
        Ok(())
    }

    /// What was not sent while the window was open is planned for the next one, and late only from then on.
    async fn put_off(&self, claimed: &mut Claimed) -> anyhow::Result<()> {
        let Claimed { claim, batch, rows } = claimed;
        let (db, now) = (&self.worker.db, self.worker.db.now());
        let Some(window) =
            Window::of(batch.send_window.as_deref()).filter(|window| !window.is_open(now))
        else {
            return Ok(());
        };
        if batch.missed
            || batch.schedule_status == ScheduleStatus::Cancelled
            || rows.iter().all(|row| row.status != Status::Pending)
        {
            return Ok(());
        }
        let opens = window.next_open(now);
        db::retry_lock_conflicts(|| store::put_off(db, claim, opens))
            .await
            .context("putting off")?;
        batch.planned_at = opens;
        tracing::info!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, until = %opens, "batch put off: its window is closed");
        Ok(())
    }

    /// A message comes a little early; nothing is marked before its time.
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

/// Whether the batch was found later than its schedule allows, with messages that were never sent.
fn is_too_late(claimed: &Claimed, now: DateTime<Utc>) -> bool {
    let Claimed { batch, rows, .. } = claimed;
    let late = now > batch.planned_at + TimeDelta::seconds(batch.max_lateness_s.into());
    late && !batch.missed && rows.iter().any(|row| row.status == Status::Pending)
}
