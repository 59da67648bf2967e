//! The sweep: once per minute it finds the work that the fast path has missed.
//!
//! Even if both queues are purged and EventBridge fails, every message is still sent and checked.
//! Normally the sweep finds nothing. If it runs twice, each claim and each cut still happens once.

pub mod store;

use std::collections::HashSet;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    events::queue::enqueue,
    platform::{
        backoff::{Backoff, MAX_CRASHES},
        db::{self, describe::describe},
        queue::{Outgoing, SharedQueue},
    },
    schedule::status::ScheduleStatus,
};

use self::store::{DueBatch, PushBack};
use crate::{DispatchedBy, Dispatcher, retention};

/// The sweep enqueues, with the exact delay, batches that fall due within this time: two of its
/// minutes.
const SWEEP_AHEAD: TimeDelta = TimeDelta::seconds(120);
/// The interval at which the sweep checks a parked batch, and logs it for the alarm.
const PARKED: TimeDelta = TimeDelta::minutes(32);
/// The most deliveries that one sweep enqueues; it enqueues none while the queue holds as many
/// messages. A due delivery stays due until it is posted, so a slow queue would otherwise receive
/// the same deliveries each minute.
const DELIVERIES_PER_SWEEP: u32 = 1000;

impl Dispatcher {
    /// Runs one sweep. `has_time` returns whether another round may start.
    pub async fn sweep(&self, has_time: impl Fn() -> bool) -> anyhow::Result<()> {
        let failed = self.cut_due_schedules().await?;
        for schedule_id in store::idle_schedules(&self.db)
            .await
            .context("looking for schedules with nothing to do")?
        {
            self.finish(schedule_id).await?;
        }
        // At least one round, however short the timeout of the invocation is.
        loop {
            let round = store::due_batches(&self.db, self.db.now())
                .await
                .context("looking for due batches")?;
            let is_last = round.len() < store::ROUND as usize;
            self.enqueue_round(round).await?;
            if is_last || !has_time() {
                break;
            }
        }
        self.enqueue_deliveries()
            .await
            .context("looking for deliveries")?;
        // Last, since nothing waits for it. Rows that it does not reach are deleted an hour later.
        let now = self.db.now();
        if retention::is_due(now) && has_time() {
            let deleted = retention::delete_expired_rows(&self.db, now)
                .await
                .context("deleting expired rows")?;
            tracing::info!(?deleted, "expired rows deleted");
        }
        failed.map_or(Ok(()), Err)
    }

    /// Cuts the schedules that are due and not cut yet. A schedule that cannot be cut stops neither
    /// the others nor the sweep: returns the last such error.
    async fn cut_due_schedules(&self) -> anyhow::Result<Option<anyhow::Error>> {
        let due = store::schedules_to_cut(&self.db, self.db.now() + self.settings.sweep_lead)
            .await
            .context("looking for due schedules")?;
        let mut failed = None;
        for schedule in due {
            if let Err(error) = self.dispatch(schedule, DispatchedBy::Sweep).await {
                tracing::error!(schedule.id = %schedule.schedule_id, error = describe(&error), "cutting failed");
                failed = Some(error);
            }
        }
        Ok(failed)
    }

    /// Enqueues the event deliveries that are due. Their rows stay as they are: only notify, which
    /// posts a delivery, moves its due time. So a message that arrives twice finds the delivery
    /// posted, and the sweep finds a delivery whose message was lost.
    async fn enqueue_deliveries(&self) -> anyhow::Result<()> {
        let now = self.db.now();
        let due = store::due_deliveries(&self.db, now, DELIVERIES_PER_SWEEP).await?;
        if due.is_empty() || self.notify_queue.backlog().await? >= DELIVERIES_PER_SWEEP.into() {
            return Ok(());
        }
        tracing::info!(deliveries = due.len(), "the sweep enqueued deliveries");
        enqueue(&self.notify_queue, &due, now).await;
        Ok(())
    }

    /// Enqueues the batches of a round, and moves the time at which the sweep checks them again.
    async fn enqueue_round(&self, round: Vec<DueBatch>) -> anyhow::Result<()> {
        if round.is_empty() {
            return Ok(());
        }
        let now = self.db.now();
        let sends = due_batches(&round, |batch| due_to_send(batch, now));
        let sent = enqueue_due(&self.send_queue, sends, now).await?;
        let checks = due_batches(&round, |batch| due_to_check(batch, now));
        let rechecked = enqueue_due(&self.recheck_queue, checks, now).await?;
        let mut back = Vec::with_capacity(round.len());
        for (at, batch) in round.iter().enumerate() {
            if batch.crashes >= MAX_CRASHES {
                tracing::error!(schedule.id = %batch.schedule_id, batch.no = batch.batch_no, batch.crashes = batch.crashes, "batch parked");
            }
            // A batch that a queue has refused keeps its sweep_at: the next sweep retries it.
            if !sent.refused.contains(&at) && !rechecked.refused.contains(&at) {
                let requeued = sent.taken.contains(&at) || rechecked.taken.contains(&at);
                back.push(push_back(batch, requeued, now, &self.settings.backoff));
            }
        }
        tracing::warn!(
            batches = round.len(),
            sent = sent.taken.len(),
            rechecked = rechecked.taken.len(),
            "the sweep enqueued batches"
        );
        db::retry_lock_conflicts(|| store::push_back(&self.db, &back))
            .await
            .context("pushing batches back")
    }
}

/// A batch of a round that is due at one queue.
struct QueueEntry<'a> {
    /// Its place in the round.
    at: usize,
    batch: &'a DueBatch,
    due_at: DateTime<Utc>,
}

/// Returns the batches of a round for which `due_at` returns a time.
fn due_batches(
    round: &[DueBatch],
    due_at: impl Fn(&DueBatch) -> Option<DateTime<Utc>>,
) -> Vec<QueueEntry<'_>> {
    let due = round.iter().enumerate().filter_map(|(at, batch)| {
        let due_at = due_at(batch)?;
        Some(QueueEntry { at, batch, due_at })
    });
    due.collect()
}

/// The batches of a round that a queue has taken or refused, by their places in the round.
struct Enqueued {
    taken: HashSet<usize>,
    refused: HashSet<usize>,
}

/// Enqueues batches that are due. A queue that holds as many messages as batches are due is slow,
/// not empty: then it gets only batches that the sweep has not enqueued before.
async fn enqueue_due(
    queue: &SharedQueue,
    mut due: Vec<QueueEntry<'_>>,
    now: DateTime<Utc>,
) -> anyhow::Result<Enqueued> {
    if due.iter().any(|due| due.batch.requeues > 0) && queue.backlog().await? >= due.len() as u64 {
        due.retain(|due| due.batch.requeues == 0);
    }
    let messages: Vec<_> = due
        .iter()
        .map(|due| Outgoing::batch(due.batch.message(), due.due_at, now))
        .collect();
    let failed: HashSet<_> = queue.send(&messages).await.into_iter().collect();
    let mut enqueued = Enqueued {
        taken: HashSet::new(),
        refused: HashSet::new(),
    };
    for (place, due) in due.iter().enumerate() {
        if failed.contains(&place) {
            enqueued.refused.insert(due.at);
        } else {
            enqueued.taken.insert(due.at);
        }
    }
    Ok(enqueued)
}

fn soon(due: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    due.filter(|due| *due <= now + SWEEP_AHEAD)
}

fn due_to_send(batch: &DueBatch, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let may_send = batch.crashes < MAX_CRASHES && batch.schedule_status != ScheduleStatus::Paused;
    soon(batch.send_at, now).filter(|_| may_send)
}

fn due_to_check(batch: &DueBatch, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    soon(batch.check_at, now).filter(|_| batch.crashes < MAX_CRASHES)
}

fn push_back(batch: &DueBatch, requeued: bool, now: DateTime<Utc>, backoff: &Backoff) -> PushBack {
    let due = [batch.send_at, batch.check_at]
        .into_iter()
        .flatten()
        .min()
        .unwrap_or(now);
    let next = if batch.crashes >= MAX_CRASHES {
        now + PARKED
    } else {
        due.max(now) + backoff.sweep_again(batch.requeues)
    };
    PushBack {
        schedule_id: batch.schedule_id,
        batch_no: batch.batch_no,
        seen: batch.sweep_at,
        next,
        requeued: u8::from(requeued),
    }
}

#[cfg(test)]
mod tests {
    use shared::platform::queue::BatchMessage;
    use uuid::Uuid;

    use super::*;

    fn batch(
        send_at: Option<DateTime<Utc>>,
        check_at: Option<DateTime<Utc>>,
        sweep_at: DateTime<Utc>,
    ) -> DueBatch {
        DueBatch {
            schedule_id: Uuid::nil(),
            batch_no: 1,
            send_at,
            check_at,
            sweep_at,
            requeues: 0,
            crashes: 0,
            schedule_status: ScheduleStatus::Running,
        }
    }

    #[test]
    fn batches_of_a_paused_schedule_are_checked_but_not_sent() {
        let now = Utc::now();
        let paused = DueBatch {
            schedule_status: ScheduleStatus::Paused,
            ..batch(Some(now), Some(now), now)
        };
        assert_eq!(
            (due_to_send(&paused, now), due_to_check(&paused, now)),
            (None, Some(now))
        );
    }

    #[test]
    fn a_parked_batch_is_not_enqueued_and_looked_at_rarely() {
        let now = Utc::now();
        let parked = DueBatch {
            crashes: MAX_CRASHES,
            ..batch(Some(now), Some(now), now)
        };
        assert_eq!(
            (due_to_send(&parked, now), due_to_check(&parked, now)),
            (None, None)
        );
        assert_eq!(
            push_back(&parked, false, now, &Backoff::default()).next,
            now + PARKED
        );
    }

    #[test]
    fn the_sweep_looks_again_after_the_due_time_with_growing_delays() {
        let now = Utc::now();
        let due = now + TimeDelta::seconds(70);
        let first = batch(Some(due), None, now);
        assert_eq!(
            push_back(&first, true, now, &Backoff::default()).next,
            due + TimeDelta::minutes(2)
        );
        let again = DueBatch {
            requeues: 3,
            send_at: Some(now - TimeDelta::hours(1)),
            ..first
        };
        assert_eq!(
            push_back(&again, true, now, &Backoff::default()).next,
            now + TimeDelta::minutes(16)
        );
        assert_eq!(
            again.message(),
            BatchMessage {
                schedule_id: Uuid::nil(),
                batch_no: 1
            }
        );
    }

    #[test]
    fn batches_due_later_are_not_enqueued_yet() {
        let now = Utc::now();
        let later = batch(
            Some(now + TimeDelta::seconds(121)),
            Some(now + TimeDelta::seconds(119)),
            now,
        );
        assert_eq!(
            (
                due_to_send(&later, now).is_some(),
                due_to_check(&later, now).is_some()
            ),
            (false, true)
        );
    }
}
