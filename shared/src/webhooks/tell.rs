//! What the system itself changes about a schedule, and the events that tell it, each in one small transaction; and the queue messages for
//! the deliveries that come of them, after the commit. A message that the queue does not take, or that nobody lives to send, costs a
//! minute: the sweep finds the row.

use chrono::{DateTime, Utc};
use uuid::Uuid;

use super::EventType;
use crate::{
    db::{
        self, Db, Transaction,
        batches::{self, Claim, Release},
        events,
        schedules::read_status,
    },
    queue::{DeliveryMessage, Outgoing, SharedQueue},
};

/// Finishes a schedule that has nothing left to do; `None`: it has, or is finished already. Many may try at once: one tells.
pub async fn finish(db: &Db, schedule_id: Uuid) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
    db::repeat_on_deadlock(|| async {
        let mut transaction = db.pool.begin().await?;
        let now = db.now();
        let finished = async {
            if !batches::finish_schedule(&mut transaction, schedule_id, now).await? {
                return Ok(None);
            }
            let kind = match read_status(&mut transaction, schedule_id).await?.as_deref() {
                Some("missed") => EventType::ScheduleMissed,
                _ => EventType::ScheduleFinished,
            };
            events::record_event(&mut transaction, kind, schedule_id, now)
                .await
                .map(Some)
        }
        .await;
        settle(transaction, finished).await
    })
    .await
}

/// Pauses a running schedule on the system's own account; `None`: it does not run.
pub async fn pause(
    db: &Db,
    schedule_id: Uuid,
    reason: &str,
) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
    db::repeat_on_deadlock(|| async {
        let mut transaction = db.pool.begin().await?;
        let now = db.now();
        let paused = async {
            if !batches::pause_schedule(&mut transaction, schedule_id, reason, now).await? {
                return Ok(None);
            }
            events::record_event(
                &mut transaction,
                EventType::SchedulePaused,
                schedule_id,
                now,
            )
            .await
            .map(Some)
        }
        .await;
        settle(transaction, paused).await
    })
    .await
}

/// Releases a batch, and tells which of its messages have ended; `None`: the claim is lost, and nothing is told.
pub async fn release(
    db: &Db,
    claim: &Claim,
    range: (u32, u32),
    release: &Release,
) -> sqlx::Result<Option<Vec<DeliveryMessage>>> {
    db::repeat_on_deadlock(|| async {
        let mut transaction = db.pool.begin().await?;
        let released = async {
            let told = events::tell_final(
                &mut transaction,
                claim,
                range,
                release.max_resends,
                db.now(),
            )
            .await?;
            Ok(batches::release(&mut transaction, claim, range, release)
                .await?
                .then_some(told))
        }
        .await;
        settle(transaction, released).await
    })
    .await
}

/// Commits what was done. Never left to the drop: a frozen environment would keep the locks.
async fn settle<T>(
    transaction: Transaction<'_>,
    done: sqlx::Result<Option<T>>,
) -> sqlx::Result<Option<T>> {
    match done {
        Ok(Some(_)) => transaction.commit().await?,
        _ => transaction.rollback().await?,
    }
    done
}

/// Puts deliveries on notify's queue, due at once.
pub async fn enqueue(queue: &SharedQueue, deliveries: &[DeliveryMessage], now: DateTime<Utc>) {
    if deliveries.is_empty() {
        return;
    }
    let messages: Vec<_> = deliveries
        .iter()
        .map(|&delivery| Outgoing::delivery(delivery, now, now))
        .collect();
    // What the queue does not take the sweep finds.
    queue.send(&messages).await;
}
