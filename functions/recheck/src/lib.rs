//! Recheck: claims a batch, asks the carrier what became of its messages, records the verdicts, releases the batch.
//!
//! In comes the name of a batch; out go status queries, rows, and the name of the batch again with a longer delay, until every
//! recipient is final or the deadline has passed. Run twice, or twice at once, one run claims and the other finds nothing to do.

mod verdict;

use std::{sync::Arc, time::Duration};

use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use futures_util::{StreamExt, stream};
use shared::{
    budget::Budget,
    carrier::{Answer, Carrier, StatusError},
    config::Env,
    db::{
        self,
        batches::{self, Claim, ClaimedBatch},
        outcomes::{self, BatchRow, Verdict},
    },
    queue::{self, BatchMessage},
    release::{Ended, Worker},
    status::Status,
};
use verdict::Judge;

/// The numbers that recheck works with.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Status queries in flight per batch.
    pub in_flight: usize,
    /// Longest wait for the carrier's answer.
    pub timeout: Duration,
}

impl Settings {
    /// `RECHECK_IN_FLIGHT`, `CARRIER_TIMEOUT_S`.
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            in_flight: env.number("RECHECK_IN_FLIGHT", 1..=1000, Some(50)) as usize,
            timeout: env.seconds("CARRIER_TIMEOUT_S", 1..=50, Some(20)),
        }
    }
}

/// Clients and settings of the function.
pub struct Rechecker {
    /// Database, queues and timing.
    pub worker: Worker,
    /// The carrier.
    pub carrier: Arc<dyn Carrier>,
    /// The numbers.
    pub settings: Settings,
}

/// What the carrier said about one row; `None`: it was not asked, time being up.
type Asked = (usize, Option<Result<Answer, StatusError>>);

impl Rechecker {
    /// One invocation: each message on its own; what fails comes again.
    pub async fn handle(&self, event: SqsEvent, budget: Budget) -> SqsBatchResponse {
        queue::handle_each(event, async |message: BatchMessage| self.recheck_batch(message, budget).await).await
    }

    /// Claim, ask, record, release.
    pub async fn recheck_batch(&self, message: BatchMessage, budget: Budget) -> anyhow::Result<()> {
        let Some((claim, batch)) = self.claim(message, budget).await? else {
            tracing::info!(schedule.id = %message.schedule_id, batch.no = message.batch_no, "nothing to ask");
            return Ok(());
        };
        let mut rows = self.read_rows(&claim, &batch).await?;
        let judge = Judge { timing: &self.worker.timing, schedule_id: message.schedule_id, parts: batch.parts.into() };
        let asked = self.ask(&judge, &batch, &rows, budget).await;
        self.record(&claim, &judge, &mut rows, asked).await?;
        self.worker.release(&claim, &batch, &rows, Ended::Checked).await
    }

    async fn claim(&self, message: BatchMessage, budget: Budget) -> anyhow::Result<Option<(Claim, ClaimedBatch)>> {
        let db = &self.worker.db;
        let now = db.now();
        let claim = Claim::new(message, now, budget.lease_until(now));
        if !db::repeat_on_deadlock(|| batches::claim_to_check(db, &claim)).await.context("claiming the batch")? {
            return Ok(None);
        }
        let batch = batches::read_claimed(db, &claim).await.context("reading the claimed batch")?;
        Ok(batch.map(|batch| (claim, batch)))
    }

    async fn read_rows(&self, claim: &Claim, batch: &ClaimedBatch) -> anyhow::Result<Vec<BatchRow>> {
        let (db, range) = (&self.worker.db, (batch.first_seq, batch.last_seq));
        let mut rows = outcomes::open_rows(db, claim.batch, range).await.context("reading recipients")?;
        if rows.iter().any(|row| row.status == Status::Sending) {
            // A send that died: nobody else may be at work on a claimed batch.
            db::repeat_on_deadlock(|| outcomes::mark_owner_lost(db, claim, range)).await.context("marking leftovers")?;
            rows = outcomes::open_rows(db, claim.batch, range).await.context("reading recipients")?;
        }
        Ok(rows)
    }

    /// Asks about every message that has no verdict yet, many at once; when time or the carrier's patience is up, the rest waits for
    /// the next pass, which begins at another place of the list.
    async fn ask(&self, judge: &Judge<'_>, batch: &ClaimedBatch, rows: &[BatchRow], budget: Budget) -> Vec<Asked> {
        let mut open: Vec<usize> = (0..rows.len()).filter(|&at| self.is_open(&rows[at])).collect();
        if !open.is_empty() {
            let turn = batch.checks as usize * self.settings.in_flight % open.len();
            open.rotate_left(turn);
        }
        let busy = std::cell::Cell::new(false);
        let (busy, carrier) = (&busy, &self.carrier);
        let questions = open.into_iter().map(|at| {
            let ids = rows[at].message_id.clone().unwrap_or_else(|| judge.own_ids(&rows[at]));
            async move {
                if busy.get() || !budget.allows(self.settings.timeout) {
                    return (at, None);
                }
                let answer = carrier.status(&ids).await;
                busy.set(busy.get() || matches!(answer, Err(StatusError::Busy { .. })));
                (at, Some(answer))
            }
        });
        // Collected first: a closure that borrows its argument does not suit the stream.
        let questions: Vec<_> = questions.collect();
        stream::iter(questions).buffer_unordered(self.settings.in_flight).collect().await
    }

    fn is_open(&self, row: &BatchRow) -> bool {
        match row.status {
            Status::Acceptd | Status::Enroute => true,
            Status::Uncertain => self.worker.can_ask,
            _ => false,
        }
    }

    /// Writes what is new, in one statement, and brings `rows` up to date.
    async fn record(&self, claim: &Claim, judge: &Judge<'_>, rows: &mut [BatchRow], asked: Vec<Asked>) -> anyhow::Result<()> {
        let db = &self.worker.db;
        let now = db.now();
        let failed = asked.iter().filter(|(_, answer)| matches!(answer, Some(Err(_)))).count();
        let mut verdicts: Vec<Verdict> = Vec::new();
        for (at, answer) in asked {
            if let Some(verdict) = judge.verdict(&rows[at], answer, now) {
                let row = &mut rows[at];
                row.status = verdict.status;
                row.final_at = verdict.status.is_final().then_some(now);
                verdicts.push(verdict);
            }
        }
        if failed > 0 {
            tracing::warn!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, queries = failed, "status queries failed");
        }
        if verdicts.is_empty() {
            return Ok(());
        }
        db::repeat_on_deadlock(|| outcomes::record_verdicts(db, claim, &verdicts, now))
            .await
            .context("recording verdicts")
            .map(drop)
    }
}
