//! The frame that send and recheck share: configuration, clients, and the start of a pass over a
//! batch ([`Worker::claim`]); [`Worker::release`] ends it.
//!
//! A second run finds nothing to claim, and a second release finds another token, or none.

use std::{sync::Arc, time::Instant};

use anyhow::Context;
use futures_util::future::try_join;
use tracing::Span;

use crate::{
    batch::{
        SeqRange,
        admission::{Admission, AdmissionSettings},
        claim::{self, Claim, ClaimedBatch},
        release::timing::Timing,
        rows::{self, BatchRow},
    },
    carrier::{Carrier, registry::CarrierSource},
    message::status::Status,
    platform::{
        aws,
        budget::Budget,
        config::{DatabaseSource, Env},
        db::{self, Db, StatementLimit},
        fault::{self, Point},
        logs::context::number_attempt,
        metrics::{self, Counter},
        queue::{BatchMessage, SharedQueue, SqsQueue},
        traces,
    },
};

/// The configuration from the environment.
pub struct WorkerConfig {
    database: DatabaseSource,
    send_queue: String,
    recheck_queue: String,
    notify_queue: String,
    carrier: CarrierSource,
    timing: Timing,
    admission: AdmissionSettings,
}

impl WorkerConfig {
    /// Reads the variables of the database, `SEND_QUEUE_URL`, `RECHECK_QUEUE_URL`,
    /// `NOTIFY_QUEUE_URL`, those of [`CarrierSource`], of [`Timing`] and of [`AdmissionSettings`].
    pub fn from_env(env: &mut Env) -> Self {
        Self {
            database: env.app_database(),
            send_queue: env.url("SEND_QUEUE_URL"),
            recheck_queue: env.url("RECHECK_QUEUE_URL"),
            notify_queue: env.url("NOTIFY_QUEUE_URL"),
            carrier: CarrierSource::from_env(env),
            timing: Timing::from_env(env),
            admission: AdmissionSettings::from_env(env),
        }
    }

    /// Creates the clients, once per environment.
    pub async fn connect(self) -> anyhow::Result<Worker> {
        let sqs = aws_sdk_sqs::Client::new(aws::sdk_config().await);
        // A secret and a first round trip each, at the same time.
        let db = Box::pin(Db::connect(&self.database, StatementLimit::Worker));
        let (db, carrier) = try_join(db, Box::pin(self.carrier.connect())).await?;
        let send_queue = SqsQueue::shared(sqs.clone(), self.send_queue);
        Ok(Worker {
            admission: Admission::new(db.clone(), send_queue.clone(), self.admission),
            db,
            carrier,
            send_queue,
            recheck_queue: SqsQueue::shared(sqs.clone(), self.recheck_queue),
            notify_queue: SqsQueue::shared(sqs, self.notify_queue),
            timing: self.timing,
        })
    }
}

/// The clients of send and of recheck.
pub struct Worker {
    /// The database.
    pub db: Db,
    /// The carrier.
    pub carrier: Arc<dyn Carrier>,
    /// The queue of batches with something to send.
    pub send_queue: SharedQueue,
    /// The queue of batches whose statuses are due.
    pub recheck_queue: SharedQueue,
    /// The queue of deliveries of events.
    pub notify_queue: SharedQueue,
    /// Delays and deadlines.
    pub timing: Timing,
    /// Admits the next batches after a pass.
    pub admission: Admission,
}

/// The work for which a batch is claimed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Work {
    /// Send the messages that are due.
    Send,
    /// Ask the carrier for statuses.
    Check,
}

/// A batch that this worker owns until the lease ends.
pub struct Claimed {
    /// The claim.
    pub claim: Claim,
    /// The batch and its schedule.
    pub batch: ClaimedBatch,
    /// The recipients that are not done, or that may be sent again.
    pub rows: Vec<BatchRow>,
    /// When the read of the rows began.
    pub rows_read_at: Instant,
}

impl Worker {
    /// Claims a batch and reads its open rows.
    ///
    /// Returns `None` if the batch is done, owned by another worker, not due, parked or paused. The
    /// message is acknowledged in any case, since the sweep is the second copy of each message.
    pub async fn claim(
        &self,
        message: BatchMessage,
        work: Work,
        budget: Budget,
    ) -> anyhow::Result<Option<Claimed>> {
        let db = &self.db;
        let now = db.now();
        let claim = Claim::new(
            message,
            now,
            budget.lease_until(now, self.timing.backoff.lease_margin),
        );
        let claimed = db::retry_lock_conflicts(|| async {
            match work {
                Work::Send => claim::claim_to_send(db, &claim).await,
                Work::Check => claim::claim_to_check(db, &claim).await,
            }
        });
        let mut batch = None;
        if claimed.await.context("claiming the batch")? {
            fault::reach(Point::Claimed, message).await;
            batch = claim::read_claimed(db, &claim)
                .await
                .context("reading the batch")?;
        }
        let Some(batch) = batch else {
            tracing::info!(schedule.id = %message.schedule_id, batch.no = message.batch_no, ?work, "nothing to do");
            return Ok(None);
        };
        number_attempt(match work {
            Work::Send => batch.tries,
            Work::Check => batch.checks,
        });
        let name = match work {
            Work::Send => "send batch",
            Work::Check => "recheck batch",
        };
        traces::rename(&Span::current(), name);
        let rows_read_at = Instant::now();
        let rows = self.read_rows(&claim, batch.range(), work).await?;
        Ok(Some(Claimed {
            claim,
            batch,
            rows,
            rows_read_at,
        }))
    }

    /// Reads the open rows. Rows that a crashed owner left SENDING become UNCERTAIN first.
    async fn read_rows(
        &self,
        claim: &Claim,
        range: SeqRange,
        work: Work,
    ) -> anyhow::Result<Vec<BatchRow>> {
        let to_send = work == Work::Send;
        let rows = rows::open_rows(&self.db, claim.batch, range, to_send)
            .await
            .context("reading recipients")?;
        if !rows.iter().any(|row| row.status == Status::Sending) {
            return Ok(rows);
        }
        let lost = db::retry_lock_conflicts(|| rows::mark_owner_lost(&self.db, claim, range))
            .await
            .context("marking rows of a lost owner")?;
        metrics::count(Counter::Uncertain, lost);
        tracing::warn!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, recipients = lost, "an owner was lost");
        rows::open_rows(&self.db, claim.batch, range, to_send)
            .await
            .context("reading recipients")
    }
}
