//! Recheck: claims a batch, asks the carrier for the statuses of its messages, records the changes,
//! and releases the batch.
//!
//! The input is a message that names a batch. The output is status queries, rows, and a message
//! that names the batch again with a longer delay, until each recipient is final or the deadline
//! has passed. If it runs twice, also at the same time, one run claims the batch and the other
//! finds nothing to do.

mod status_update;

use std::{cell::Cell, collections::HashMap, time::Duration};

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
    carrier::{StatusAnswer, StatusError},
    message::status::Status,
    platform::{
        budget::Budget,
        config::Env,
        db::{Db, transaction::transaction},
        fault::{self, Point},
        queue::{self, BatchMessage},
    },
};

use crate::status_update::StatusRules;

/// Limits of the function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Status queries in flight per batch.
    pub in_flight: usize,
    /// Longest wait for the carrier's answer.
    pub timeout: Duration,
}

impl Settings {
    /// Reads `RECHECK_IN_FLIGHT` and `CARRIER_TIMEOUT_S`.
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
    /// Limits.
    pub settings: Settings,
}

/// A status query and its answer.
struct StatusQuery {
    /// The place of the recipient in the rows of the batch.
    at: usize,
    asked_at: DateTime<Utc>,
    /// `None`: not asked, since no time was left or the carrier was busy.
    answer: Option<Result<StatusAnswer, StatusError>>,
}

impl Rechecker {
    /// Handles one invocation. Each message is handled on its own; a message that fails is
    /// delivered again.
    pub async fn handle(&self, event: SqsEvent, budget: Budget) -> SqsBatchResponse {
        queue::handle_each(event, async |message: BatchMessage| {
            self.recheck_batch(message, budget).await
        })
        .await
    }

    /// Claims a batch, asks for statuses, records them, and releases the batch.
    pub async fn recheck_batch(&self, message: BatchMessage, budget: Budget) -> anyhow::Result<()> {
        let Some(mut claimed) = self.worker.claim(message, Work::Check, budget).await? else {
            return Ok(());
        };
        let rules = StatusRules {
            timing: &self.worker.timing,
            schedule_id: message.schedule_id,
            parts: claimed.batch.parts.into(),
            personal_parts: self.personal_parts(&claimed).await?,
        };
        let queries = self.query_statuses(&rules, &claimed, budget).await;
        fault::reach(Point::Asked, message).await;
        self.record(&mut claimed, &rules, queries).await?;
        self.worker.release(&claimed, PassResult::Checked).await
    }

    /// Returns how many parts each personal text has, by seq. They are read only if the carrier
    /// takes own ids, because each part then has its own id.
    async fn personal_parts(&self, claimed: &Claimed) -> anyhow::Result<HashMap<u32, usize>> {
        let Claimed { claim, batch, rows } = claimed;
        let needs_own_id = |row: &BatchRow| row.message_id.is_none() && self.is_open(row);
        if !rows.iter().any(needs_own_id) {
            return Ok(HashMap::new());
        }
        let texts = Texts::read(&self.worker.db, claim, batch, rows).await?;
        let open = rows.iter().enumerate().filter(|(_, row)| needs_own_id(row));
        Ok(open
            .map(|(at, row)| (row.seq, texts.of(at).parts.into()))
            .collect())
    }

    /// Asks for the status of each open message, many at once. If the time is up or the carrier is
    /// busy, the rest waits for the next pass, which starts at another place of the list.
    async fn query_statuses(
        &self,
        rules: &StatusRules<'_>,
        claimed: &Claimed,
        budget: Budget,
    ) -> Vec<StatusQuery> {
        let Claimed { batch, rows, .. } = claimed;
        let mut open: Vec<usize> = (0..rows.len())
            .filter(|&at| self.is_open(&rows[at]))
            .collect();
        if !open.is_empty() {
            let start = batch.checks as usize * self.settings.in_flight % open.len();
            open.rotate_left(start);
        }
        let is_busy = &Cell::new(false);
        let queries = open.into_iter().map(|at| {
            let row = &rows[at];
            let ids = row.message_id.clone();
            let ids = ids.unwrap_or_else(|| rules.own_ids(row));
            async move {
                let asked_at = self.worker.db.now();
                let answer = self.query_status(&ids, budget, is_busy).await;
                StatusQuery {
                    at,
                    asked_at,
                    answer,
                }
            }
        });
        // Collected first: a closure that borrows its argument does not suit the stream.
        let queries: Vec<_> = queries.collect();
        stream::iter(queries)
            .buffer_unordered(self.settings.in_flight)
            .collect()
            .await
    }

    /// Asks for one status, unless no time is left or an earlier answer has set `is_busy`.
    async fn query_status(
        &self,
        ids: &str,
        budget: Budget,
        is_busy: &Cell<bool>,
    ) -> Option<Result<StatusAnswer, StatusError>> {
        let recording_share = self.worker.timing.backoff.recording_share;
        if is_busy.get() || !budget.allows(self.settings.timeout, recording_share) {
            return None;
        }
        let answer = self.worker.carrier.status(ids).await;
        if matches!(answer, Err(StatusError::Busy { .. })) {
            is_busy.set(true);
        }
        Some(answer)
    }

    fn is_open(&self, row: &BatchRow) -> bool {
        match row.status {
            Status::Acceptd | Status::Enroute => true,
            Status::Uncertain => self.worker.carrier.can_ask_own_id(),
            _ => false,
        }
    }

    /// Records the changes in one statement, and updates the rows in memory.
    async fn record(
        &self,
        claimed: &mut Claimed,
        rules: &StatusRules<'_>,
        queries: Vec<StatusQuery>,
    ) -> anyhow::Result<()> {
        let Claimed { claim, rows, .. } = claimed;
        let now = self.worker.db.now();
        let failed = queries
            .iter()
            .filter(|query| matches!(query.answer, Some(Err(_))))
            .count();
        let mut updates: Vec<StatusUpdate> = Vec::new();
        for query in queries {
            let row = &mut rows[query.at];
            // The time of the query counts: the process may have been frozen since, and "not found"
            // is only meaningful if the message could not be on the wire any more when the carrier
            // was asked.
            if let Some(update) = rules.status_update(row, query.answer, query.asked_at) {
                row.status = update.status;
                row.final_at = update.status.is_final().then_some(now);
                updates.push(update);
            }
        }
        if failed > 0 {
            tracing::warn!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, queries = failed, "status queries failed");
        }
        if updates.is_empty() {
            return Ok(());
        }
        write(&self.worker.db, claim, &updates, now)
            .await
            .context("recording statuses")
    }
}

async fn write(
    db: &Db,
    claim: &Claim,
    updates: &[StatusUpdate],
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    transaction(db, |transaction| {
        Box::pin(async move {
            rows::make_due_if_lease_lost(transaction, claim, now).await?;
            rows::record_status_updates(transaction, claim, updates, now)
                .await
                .map(Some)
        })
    })
    .await
    .map(drop)
}
