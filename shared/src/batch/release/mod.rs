//! The end of a pass over a batch, of a send as of a recheck: [`decide`] computes when the batch is
//! due next, [`write`] records it in the statement that ends the claim, and [`Worker::release`]
//! enqueues what is due.

mod decide;
mod final_events;
pub(super) mod timing;
mod write;

use anyhow::Context;

use self::{decide::EndedPass, final_events::record_final_events, write::read_due_times};
pub use self::{
    decide::{PassResult, Policy},
    timing::Timing,
    write::{Release, write_release},
};
use crate::{
    batch::{
        SeqRange,
        claim::Claim,
        worker::{Claimed, Worker},
    },
    events::queue::enqueue,
    platform::{
        db::{Db, retry_lock_conflicts, transaction::transaction},
        fault::{self, Point},
        queue::{DeliveryMessage, Outgoing},
    },
    schedule::lifecycle,
};

impl Worker {
    /// Releases a batch as its pass has left it, enqueues what is due next, and finishes the
    /// schedule if this batch was the last one with something to do.
    ///
    /// If the claim is lost, another worker owns the batch: nothing is written or enqueued.
    pub async fn release(&self, claimed: &Claimed, result: PassResult) -> anyhow::Result<()> {
        let Claimed { claim, batch, rows } = claimed;
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
        for (queue, due) in [
            (&self.send_queue, due.send_at),
            (&self.recheck_queue, due.check_at),
        ] {
            if let Some(due) = due {
                // A message that the queue refuses is left to the sweep.
                queue
                    .send(&[Outgoing::batch(claim.batch, due, self.db.now())])
                    .await;
            }
        }
        if !dues.schedule_open
            && let Some(finished) = lifecycle::finish(&self.db, claim.batch.schedule_id)
                .await
                .context("finishing the schedule")?
        {
            tracing::info!(schedule.id = %claim.batch.schedule_id, "schedule finished");
            deliveries.extend(finished);
        }
        enqueue(&self.notify_queue, &deliveries, self.db.now()).await;
        Ok(())
    }

    /// Writes the release, and with it the events of messages that have ended.
    ///
    /// Returns the deliveries to enqueue, or `None` if the claim is lost. If no webhook subscribes
    /// to final messages, the release is a single statement without a transaction.
    async fn write_release(
        &self,
        claimed: &Claimed,
        release: &Release,
    ) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
        let Claimed { claim, batch, .. } = claimed;
        let range = batch.range();
        if !batch.wants_final_events {
            let written = retry_lock_conflicts(|| async {
                write_release(&mut *self.db.acquire().await?, claim, range, release).await
            });
            return Ok(written.await?.then(Vec::new));
        }
        write_release_with_events(&self.db, claim, range, release).await
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
            let deliveries =
                record_final_events(transaction, claim, range, resends, db.now()).await?;
            let written = write_release(transaction, claim, range, release).await?;
            Ok(written.then_some(deliveries))
        })
    })
    .await
}
