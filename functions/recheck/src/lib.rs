//! Recheck: claims a batch, asks the carrier what became of its messages, records the verdicts, releases the batch.
//!
//! In comes the name of a batch; out go status queries, rows, and the name of the batch again with a longer delay, until every
//! recipient is final or the deadline has passed. Run twice, or twice at once, one run claims and the other finds nothing to do.

mod verdict;

use std::{collections::HashMap, time::Duration};

use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, Utc};
use futures_util::{StreamExt, stream};
use shared::{
    batch::{
        claim::Claim,
        release::PassResult,
        rows::{self, BatchRow, StatusUpdate},
        texts::Texts,
        worker::{Claimed, Work, Worker},
    },
    carrier::{Answer, StatusError},
    message::status::Status,
    platform::{
        budget::Budget,
        config::Env,
        db,
        fault::{self, Point},
        queue::{self, BatchMessage},
    },
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
    /// Database, queues, carrier and timing.
    pub worker: Worker,
    /// The numbers.
    pub settings: Settings,
}

/// What the carrier said about one row, and when it was asked; `None`: it was not, time being up.
type Asked = (usize, DateTime<Utc>, Option<Result<Answer, StatusError>>);

impl Rechecker {
    /// One invocation: each message on its own; what fails comes again.
    pub async fn handle(&self, event: SqsEvent, budget: Budget) -> SqsBatchResponse {
        queue::handle_each(event, async |message: BatchMessage| {
            self.recheck_batch(message, budget).await
        })
        .await
    }

    /// Claim, ask, record, release.
    pub async fn recheck_batch(&self, message: BatchMessage, budget: Budget) -> anyhow::Result<()> {
        let Some(mut claimed) = self.worker.claim(message, Work::Check, budget).await? else {
            return Ok(());
        };
        let parts = claimed.batch.parts.into();
        let personal = self.personal_parts(&claimed).await?;
        let judge = Judge {
            timing: &self.worker.timing,
            schedule_id: message.schedule_id,
            parts,
            personal,
        };
        let asked = self.ask(&judge, &claimed, budget).await;
        fault::reach(Point::Asked, message).await;
        self.record(&mut claimed, &judge, asked).await?;
        self.worker.release(&claimed, PassResult::Checked).await
    }

    /// In how many parts a personal text travelled is asked where the carrier knows it by our own ids only: one for each part.
    async fn personal_parts(&self, claimed: &Claimed) -> anyhow::Result<HashMap<u32, usize>> {
        let Claimed { claim, batch, rows } = claimed;
        let asked = |row: &BatchRow| row.message_id.is_none() && self.is_open(row);
        if !rows.iter().any(asked) {
            return Ok(HashMap::new());
        }
        let texts = Texts::read(&self.worker.db, claim, batch, rows).await?;
        let parts = rows.iter().enumerate().filter(|(_, row)| asked(row));
        Ok(parts
            .map(|(at, row)| (row.seq, texts.of(at).parts.into()))
            .collect())
    }

    /// Asks about every message that has no verdict yet, many at once; when time or the carrier's patience is up, the rest waits for
    /// the next pass, which begins at another place of the list.
    async fn ask(&self, judge: &Judge<'_>, claimed: &Claimed, budget: Budget) -> Vec<Asked> {
        let Claimed { batch, rows, .. } = claimed;
        let mut open: Vec<usize> = (0..rows.len())
            .filter(|&at| self.is_open(&rows[at]))
            .collect();
        if !open.is_empty() {
            let turn = batch.checks as usize * self.settings.in_flight % open.len();
            open.rotate_left(turn);
        }
        let busy = std::cell::Cell::new(false);
        let (busy, carrier, db) = (&busy, &self.worker.carrier, &self.worker.db);
        let questions = open.into_iter().map(|at| {
            let ids = rows[at]
                .message_id
                .clone()
                .unwrap_or_else(|| judge.own_ids(&rows[at]));
            async move {
                if busy.get()
                    || !budget.allows(
                        self.settings.timeout,
                        self.worker.timing.backoff.recording_share,
                    )
                {
                    return (at, db.now(), None);
                }
                let asked_at = db.now();
                let answer = carrier.status(&ids).await;
                busy.set(busy.get() || matches!(answer, Err(StatusError::Busy { .. })));
                (at, asked_at, Some(answer))
            }
        });
        // Collected first: a closure that borrows its argument does not suit the stream.
        let questions: Vec<_> = questions.collect();
        stream::iter(questions)
            .buffer_unordered(self.settings.in_flight)
            .collect()
            .await
    }

    fn is_open(&self, row: &BatchRow) -> bool {
        match row.status {
            Status::Acceptd | Status::Enroute => true,
            Status::Uncertain => self.worker.carrier.can_ask_own_id(),
            _ => false,
        }
    }

    /// Writes what is new, in one statement, and brings the rows up to date.
    async fn record(
        &self,
        claimed: &mut Claimed,
        judge: &Judge<'_>,
        asked: Vec<Asked>,
    ) -> anyhow::Result<()> {
        let Claimed { claim, rows, .. } = claimed;
        let db = &self.worker.db;
        let now = db.now();
        let failed = asked
            .iter()
            .filter(|(_, _, answer)| matches!(answer, Some(Err(_))))
            .count();
        let mut verdicts: Vec<StatusUpdate> = Vec::new();
        for (at, asked_at, answer) in asked {
            // Judged by the time of the question: a process may have been frozen since, and "not found" counts only if it was said
            // when nothing could be on the wire any more.
            if let Some(verdict) = judge.verdict(&rows[at], answer, asked_at) {
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
        db::retry_lock_conflicts(|| self.write(claim, &verdicts, now))
            .await
            .context("recording verdicts")
    }

    async fn write(
        &self,
        claim: &Claim,
        verdicts: &[StatusUpdate],
        now: DateTime<Utc>,
    ) -> sqlx::Result<()> {
        let mut transaction = self.worker.db.pool.begin().await?;
        let written = async {
            rows::make_due_if_lease_lost(&mut transaction, claim, now).await?;
            rows::record_status_updates(&mut transaction, claim, verdicts, now).await
        }
        .await;
        // Never left to the drop: a frozen environment would keep the locks.
        match written {
            Ok(_) => transaction.commit().await,
            Err(error) => {
                transaction.rollback().await?;
                Err(error)
            }
        }
    }
}
