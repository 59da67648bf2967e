//! The end of a pass over a batch, of a send as of a recheck: [`decide`] computes when the batch is
//! due next, [`write`] records it in the statement that ends the claim, and [`Worker::release`]
//! enqueues what is due.

mod decide;
mod final_events;
mod outcome_line;
pub(super) mod timing;
mod write;

use anyhow::Context;
use chrono::{DateTime, Utc};
use futures_util::future::join;

use self::{
    decide::{DueMessages, EndedPass},
    write::read_due_times,
};
pub use self::{
    decide::{PassResult, Policy},
    final_events::record_final_events,
    timing::Timing,
    write::{Release, write_release},
};
use crate::{
    batch::{
        SeqRange,
        admission::turns::{self, ReturnedBatch},
        canary::decide_canary,
        claim::Claim,
        worker::{Claimed, Worker},
    },
    events::queue::enqueue,
    message::status::Status,
    platform::{
        db::{Db, describe::describe_one, retry_lock_conflicts, transaction::transaction},
        fault::{self, Point},
        queue::{BatchMessage, DeliveryMessage, Outgoing},
    },
    schedule::lifecycle,
};

impl Worker {
    /// Releases a batch as its pass has left it, enqueues what is due next, and finishes the
    /// schedule if this batch was the last one with something to do.
    ///
    /// If the claim is lost, another worker owns the batch: nothing is written or enqueued.
    pub async fn release(&self, claimed: &Claimed, result: PassResult) -> anyhow::Result<()> {
        let Claimed {
            claim, batch, rows, ..
        } = claimed;
        let now = self.db.now();
        let pass = EndedPass {
            claim,
            batch,
            rows,
            result,
            can_ask: self.carrier.can_ask_own_id(),
        };
        let written = self
            .write_release(claimed, &pass.plan_release(&self.timing, now))
            .await
            .context("releasing the batch")?;
        let Some(mut deliveries) = written else {
            tracing::warn!(schedule.id = %claim.batch.schedule_id, batch.no = claim.batch.batch_no, "the claim was lost before the release");
            return Ok(());
        };
        fault::reach(Point::Released, claim.batch).await;
        let dues = read_due_times(&self.db, claim.batch)
            .await?
            .context("the batch is gone")?;
        let due = pass.due_messages(dues, now);
        pass.log_outcome(&dues, self.db.now());
        let messages = self.enqueue_due(claim.batch, due, dues.pending == 0);
        let others = async {
            if !dues.schedule_open
                && let Some(finished) = lifecycle::finish(&self.db, claim.batch.schedule_id)
                    .await
                    .context("finishing the schedule")?
            {
                tracing::info!(schedule.id = %claim.batch.schedule_id, "schedule finished");
                deliveries.extend(finished);
            }
            if batch.is_canary
                && let Some(decided) = decide_canary(&self.db, claim.batch.schedule_id)
                    .await
                    .context("deciding about the canary")?
            {
                fault::reach(Point::Decided, claim.batch).await;
                deliveries.extend(decided.deliveries);
                // What it has released is admitted. If that fails, the sweep does it.
                self.admission.admit().await.context("admitting the rest")?;
            }
            enqueue(&self.notify_queue, &deliveries, self.db.now()).await;
            self.admit_next(claimed, result, dues.send_at).await;
            Ok(())
        };
        // The queue and the database answer at the same time.
        let ((), done) = join(messages, others).await;
        done
    }

    /// Enqueues what is due next. A message that the queue refuses is left to the sweep.
    async fn enqueue_due(&self, batch: BatchMessage, due: DueMessages, only_resends: bool) {
        let now = self.db.now();
        if let Some(send_at) = due.send_at {
            let message = if only_resends {
                Outgoing::batch_after(batch, send_at, now)
            } else {
                Outgoing::batch(batch, send_at, now)
            };
            self.send_queue.send(&[message]).await;
        }
        if let Some(check_at) = due.check_at {
            let message = Outgoing::batch(batch, check_at, now);
            self.recheck_queue.send(&[message]).await;
        }
    }

    /// Admits the batches whose turn it is, after a pass that may have made room for them. `due`:
    /// when the batch of the pass is to be sent next.
    async fn admit_next(&self, claimed: &Claimed, result: PassResult, due: Option<DateTime<Utc>>) {
        let PassResult::Sent {
            accepted,
            was_busy,
            back_to_waiting,
            ..
        } = result
        else {
            return;
        };
        if !claimed.batch.turns_exist && !back_to_waiting {
            return;
        }
        // The batch is released: an error here is no reason to run the pass again. The next release
        // or the sweep admits what this one does not.
        match self.admission.admit_after_pass(accepted && !was_busy).await {
            // Nobody else will admit the batch that waits before the next sweep. Its own message
            // does: a claim ends the wait.
            Ok(true) if back_to_waiting => {
                if let Some(due) = due {
                    let message = Outgoing::batch(claimed.claim.batch, due, self.db.now());
                    self.send_queue.send(&[message]).await;
                }
            }
            Ok(_) => {}
            Err(error) => {
                tracing::error!(error = describe_one(&error), "admitting batches failed");
            }
        }
    }

    /// Writes the release, and with it the events of messages that have ended.
    ///
    /// Returns the deliveries to enqueue, or `None` if the claim is lost. If no webhook subscribes
    /// to final messages and the batch does not return to those that wait, the release is a single
    /// statement without a transaction.
    async fn write_release(
        &self,
        claimed: &Claimed,
        release: &Release,
    ) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
        let Claimed {
            claim, batch, rows, ..
        } = claimed;
        let range = batch.range();
        if release.result.back_to_waiting() {
            let pending = rows.iter().filter(|row| row.status == Status::Pending);
            let returned = ReturnedBatch {
                batch: claim.batch,
                parts: pending.count() as u64 * u64::from(batch.parts),
                ready_at: release.send_at,
            };
            return self.write_return(claimed, release, &returned).await;
        }
        if !batch.wants_final_events {
            let written = retry_lock_conflicts(|| write_release(&self.db, claim, range, release));
            return Ok(written.await?.then(Vec::new));
        }
        write_release_with_events(&self.db, claim, range, release).await
    }

    /// Writes the release of a batch that returns to those that wait, and its turn.
    async fn write_return(
        &self,
        claimed: &Claimed,
        release: &Release,
        returned: &ReturnedBatch,
    ) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
        let Claimed { claim, batch, .. } = claimed;
        let (range, resends) = (batch.range(), release.max_resends);
        transaction(&self.db, |transaction| {
            Box::pin(async move {
                let mut deliveries = Vec::new();
                if batch.wants_final_events {
                    let now = self.db.now();
                    deliveries = record_final_events(
                        transaction,
                        claim.batch.schedule_id,
                        range,
                        resends,
                        now,
                    )
                    .await?;
                }
                let written = write_release(&mut **transaction, claim, range, release).await?;
                if written {
                    turns::return_batch(transaction, returned).await?;
                }
                Ok(written.then_some(deliveries))
            })
        })
        .await
    }
}

/// Writes a release and, in the same transaction, the events of the messages that it ends.
///
/// Returns the deliveries to enqueue, or `None` if the claim is lost: then nothing is recorded.
pub async fn write_release_with_events(
    db: &Db,
    claim: &Claim,
    range: SeqRange,
    release: &Release,
) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
    transaction(db, |transaction| {
        Box::pin(async move {
            let resends = release.max_resends;
            let deliveries = record_final_events(
                transaction,
                claim.batch.schedule_id,
                range,
                resends,
                db.now(),
            )
            .await?;
            let written = write_release(&mut **transaction, claim, range, release).await?;
            Ok(written.then_some(deliveries))
        })
    })
    .await
}
