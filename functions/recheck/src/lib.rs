//! Recheck: claims a batch, asks the carrier for the statuses of its messages, records the changes,
//! and releases the batch.
//!
//! The input is a message that names a batch. The output is status queries, rows, and a message
//! that names the batch again with a longer delay, until each recipient is final or the deadline
//! has passed. If it runs twice, also at the same time, one run claims the batch and the other
//! finds nothing to do.

pub mod config;
mod figures;
mod queries;
mod share;
mod status_update;
pub mod store;

use std::{cell::Cell, collections::HashMap, time::Duration};

use anyhow::Context;
use aws_lambda_events::event::sqs::{SqsBatchResponse, SqsEvent};
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::{
        claim::Claim,
        in_place::StatusesInPlace,
        release::PassResult,
        rows::{self, BatchRow, StatusUpdate},
        texts::Texts,
        worker::{Claimed, Work, Worker},
    },
    carrier::capacity::{Capacity, Limit, LimitDefaults, LimitKind},
    message::status::Status,
    platform::{
        budget::Budget,
        config::Env,
        db::{Db, retry_lock_conflicts, transaction::transaction},
        fault::{self, Point},
        logs::context::CarrierRequests,
        queue::{self, BatchMessage},
    },
};

use crate::{
    queries::{Queries, Question, StatusQuery},
    share::{PassQueries, Share},
    status_update::StatusRules,
};

/// Limits of the function.
#[derive(Clone, Debug)]
pub struct Settings {
    /// Status queries in flight per batch.
    pub in_flight: usize,
    /// Longest wait for the carrier's answer.
    pub timeout: Duration,
    /// The deployment's limit on status queries.
    pub limit: LimitDefaults,
}

impl Settings {
    /// Reads `RECHECK_IN_FLIGHT`, `CARRIER_TIMEOUT_S` and `CARRIER_QUERIES_PER_SECOND`.
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            in_flight: env.number("RECHECK_IN_FLIGHT", 1..=1000, Some(50)) as usize,
            timeout: env.seconds("CARRIER_TIMEOUT_S", 1..=50, Some(20)),
            limit: LimitDefaults::from_env(env, LimitKind::Query),
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

/// What is known about the limit when a pass begins.
struct KnownLimit {
    capacity: Capacity,
    limit: Limit,
    /// The schedule's share; `None`: no limit.
    share: Option<Share>,
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
        let questions = self.questions(&rules, &claimed);
        let known = self.read_limit(&claimed, &questions).await?;
        let queries = self.ask(&questions, &known, budget).await;
        fault::reach(Point::Asked, message).await;
        let asked = PassQueries {
            asked: queries.len(),
            open: questions.len(),
            is_first: claimed.batch.checks <= 1,
        };
        let least_delay = known.share.map_or(TimeDelta::zero(), |share| {
            share.least_delay(asked, fastrand::f64())
        });
        self.record(&mut claimed, &rules, queries).await?;
        let result = PassResult::Checked { least_delay };
        self.worker.release(&claimed, result).await?;
        self.compare_share(&claimed).await;
        Ok(())
    }

    /// Returns how many parts each personal text has, by seq. They are read only if the carrier
    /// takes own ids, because each part then has its own id.
    async fn personal_parts(&self, claimed: &Claimed) -> anyhow::Result<HashMap<u32, usize>> {
        let Claimed {
            claim, batch, rows, ..
        } = claimed;
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

    /// Returns the open messages. Each pass starts at another place of the list, because the rest of
    /// a pass that ends early waits for the next one.
    fn questions(&self, rules: &StatusRules<'_>, claimed: &Claimed) -> Vec<Question> {
        let Claimed { batch, rows, .. } = claimed;
        let mut open: Vec<usize> = (0..rows.len())
            .filter(|&at| self.is_open(&rows[at]))
            .collect();
        if !open.is_empty() {
            let start = batch.checks as usize * self.settings.in_flight % open.len();
            open.rotate_left(start);
        }
        let question = |at: usize| {
            let ids = rows[at].message_id.clone();
            let ids = ids.unwrap_or_else(|| rules.own_ids(&rows[at]));
            Question { at, ids }
        };
        open.into_iter().map(question).collect()
    }

    /// Reads the limit on queries and, if there is one, the schedule's share of it.
    async fn read_limit(
        &self,
        claimed: &Claimed,
        questions: &[Question],
    ) -> anyhow::Result<KnownLimit> {
        let Claimed { claim, batch, .. } = claimed;
        let db = &self.worker.db;
        let capacity = Capacity::new(db.clone(), LimitKind::Query, self.settings.limit);
        let limit = capacity.read().await.context("reading the limit")?;
        let mut share = None;
        if let Some(per_second) = limit.per_second().or(limit.requests_per_second) {
            let recipients = f64::from(batch.last_seq - batch.first_seq) + 1.0;
            let open_share = questions.len() as f64 / recipients;
            let queries = store::read_open_queries(db, claim.batch.schedule_id, open_share)
                .await
                .context("reading how many queries are needed")?;
            share = Some(Share::of(queries, per_second));
        }
        Ok(KnownLimit {
            capacity,
            limit,
            share,
        })
    }

    /// Asks for the status of each open message, many at once.
    async fn ask(
        &self,
        questions: &[Question],
        known: &KnownLimit,
        budget: Budget,
    ) -> Vec<StatusQuery> {
        let queries = Queries {
            worker: &self.worker,
            capacity: &known.capacity,
            limit: Cell::new(known.limit),
            is_small: known.share.is_some_and(|share| share.is_small),
            budget,
            timeout: self.settings.timeout,
            in_flight: self.settings.in_flight,
            granted: Cell::new(0),
            response: Cell::new(None),
        };
        queries.ask_all(questions).await
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
        let mut asked = CarrierRequests::default();
        for query in &queries {
            if let Some(answer) = &query.answer {
                asked.count(query.took, answer.is_err());
            }
        }
        asked.record();
        let mut updates: Vec<StatusUpdate> = Vec::new();
        for query in queries {
            let row = &mut rows[query.at];
            // The time of the query counts: the process may have been frozen since, and "not found"
            // is only meaningful if the message could not be on the wire any more when the carrier
            // was asked.
            if let Some(update) = rules.status_update(row, query.answer, query.asked_at) {
                row.status = update.status;
                row.final_at = update.status.is_final().then_some(now);
                figures::record_update(row, now);
                updates.push(update);
            }
        }
        if asked.failures > 0 {
            tracing::warn!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, queries = asked.failures, "status queries failed");
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
    // If nothing matches, the claim may be lost: the transaction decides.
    if let Some(in_place) = StatusesInPlace::of(updates)
        && retry_lock_conflicts(|| in_place.write(db, claim, now)).await? > 0
    {
        return Ok(());
    }
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
