//! The sweep: once a minute it looks for what the fast path has missed, so that both queues may be purged and EventBridge may sleep,
//! and every message is still sent and checked. Normally it finds nothing.

pub mod deliveries;
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
};

use self::store::{DueBatch, PushBack};
use crate::{DispatchedBy, Dispatcher, retention};

/// The sweep enqueues, with the exact delay, what falls due within this time: two of its minutes.
const SWEEP_AHEAD: TimeDelta = TimeDelta::seconds(120);
/// A parked batch is looked at, and logged for its alarm, this often.
const PARKED: TimeDelta = TimeDelta::minutes(32);
/// The most deliveries that one sweep takes up; it takes up none while the queue holds as many
/// messages. A due delivery stays due until it is posted, so a slow queue would otherwise be given
/// the same deliveries each minute.
const DELIVERIES_PER_SWEEP: u32 = 1000;

impl Dispatcher {
    /// One sweep; `has_time` says whether another round may begin.
    pub async fn sweep(&self, has_time: impl Fn() -> bool) -> anyhow::Result<()> {
        let cut = store::schedules_to_cut(&self.db, self.db.now() + self.settings.sweep_lead)
            .await
            .context("looking for due schedules")?;
        // One schedule that can't be cut does not keep the others from being cut.
        let mut failed = None;
        for schedule in cut {
            if let Err(error) = self.dispatch(schedule, DispatchedBy::Sweep).await {
                tracing::error!(schedule.id = %schedule.schedule_id, error = describe(&error), "cutting failed");
                failed = Some(error);
            }
        }
        for schedule_id in store::idle_schedules(&self.db)
            .await
            .context("looking for schedules with nothing to do")?
        {
            self.finish(schedule_id).await?;
        }
        // At least one round, however short an invocation's time is set.
        loop {
            let round = store::due_batches(&self.db, self.db.now())
                .await
                .context("looking for due batches")?;
            let last = round.len() < store::ROUND as usize;
            self.take_up(round).await?;
            if last || !has_time() {
                break;
            }
        }
        self.deliver().await.context("looking for deliveries")?;
        // Last, as nothing waits for it; what it leaves over, the next hour's takes.
        let now = self.db.now();
        if retention::is_time(now) && has_time() {
            let tidied = retention::tidy(&self.db, now)
                .await
                .context("deleting old rows")?;
            tracing::info!(?tidied, "old rows deleted");
        }
        failed.map_or(Ok(()), Err)
    }

    /// Puts what is due of webhooks' deliveries on their queue. The rows stay as they are: only who posts one moves its due time, so that
    /// a message that comes twice finds it posted, and one that is lost is found again.
    async fn deliver(&self) -> anyhow::Result<()> {
        let now = self.db.now();
        let due = deliveries::due_deliveries(&self.db, now, DELIVERIES_PER_SWEEP).await?;
        if due.is_empty() || self.notify_queue.backlog().await? >= DELIVERIES_PER_SWEEP.into() {
            return Ok(());
        }
        tracing::info!(deliveries = due.len(), "the sweep took deliveries up");
        enqueue(&self.notify_queue, &due, now).await;
        Ok(())
    }

    async fn take_up(&self, round: Vec<DueBatch>) -> anyhow::Result<()> {
        if round.is_empty() {
            return Ok(());
        }
        let now = self.db.now();
        let sent = self
            .put(
                &self.send_queue,
                &round,
                |batch| due_to_send(batch, now),
                now,
            )
            .await?;
        let asked = self
            .put(
                &self.recheck_queue,
                &round,
                |batch| due_to_check(batch, now),
                now,
            )
            .await?;
        let mut back = Vec::with_capacity(round.len());
        for (at, batch) in round.iter().enumerate() {
            if batch.crashes >= MAX_CRASHES {
                tracing::error!(schedule.id = %batch.schedule_id, batch.no = batch.batch_no, batch.crashes = batch.crashes, "batch parked");
            }
            let done = [sent.outcome(at), asked.outcome(at)];
            // What a queue refused keeps its place; the next sweep tries again.
            if !done.contains(&Put::Refused) {
                back.push(push_back(
                    batch,
                    done.contains(&Put::Taken),
                    now,
                    &self.settings.backoff,
                ));
            }
        }
        tracing::warn!(
            batches = round.len(),
            sent = sent.taken.len(),
            rechecked = asked.taken.len(),
            "the sweep took batches up"
        );
        db::retry_lock_conflicts(|| store::push_back(&self.db, &back))
            .await
            .context("pushing batches back")
    }

    /// Puts those batches of a round on a queue that are due there. A queue that holds as many messages as batches are due is slow,
    /// not empty: then only batches go that the sweep has not enqueued before.
    async fn put(
        &self,
        queue: &SharedQueue,
        round: &[DueBatch],
        due: impl Fn(&DueBatch) -> Option<DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> anyhow::Result<Puts> {
        let mut wanted: Vec<_> = round
            .iter()
            .enumerate()
            .filter_map(|(at, batch)| Some((at, batch, due(batch)?)))
            .collect();
        if wanted.iter().any(|(_, batch, _)| batch.requeues > 0)
            && queue.backlog().await? >= wanted.len() as u64
        {
            wanted.retain(|(_, batch, _)| batch.requeues == 0);
        }
        let messages: Vec<_> = wanted
            .iter()
            .map(|(_, batch, due)| Outgoing::batch(batch.message(), *due, now))
            .collect();
        let failed: HashSet<_> = queue.send(&messages).await.into_iter().collect();
        let (mut taken, mut refused) = (HashSet::new(), HashSet::new());
        for (place, (at, ..)) in wanted.iter().enumerate() {
            if failed.contains(&place) {
                refused.insert(*at)
            } else {
                taken.insert(*at)
            };
        }
        Ok(Puts { taken, refused })
    }
}

/// What became of a round at one queue, by place in the round.
struct Puts {
    taken: HashSet<usize>,
    refused: HashSet<usize>,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Put {
    Taken,
    Refused,
    NotDue,
}

impl Puts {
    fn outcome(&self, at: usize) -> Put {
        match (self.taken.contains(&at), self.refused.contains(&at)) {
            (true, _) => Put::Taken,
            (_, true) => Put::Refused,
            _ => Put::NotDue,
        }
    }
}

fn soon(due: Option<DateTime<Utc>>, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    due.filter(|due| *due <= now + SWEEP_AHEAD)
}

fn due_to_send(batch: &DueBatch, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
    let may = batch.crashes < MAX_CRASHES && batch.schedule_status != "paused";
    soon(batch.send_at, now).filter(|_| may)
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
    let again = if batch.crashes >= MAX_CRASHES {
        now + PARKED
    } else {
        due.max(now) + backoff.sweep_again(batch.requeues)
    };
    PushBack {
        schedule_id: batch.schedule_id,
        batch_no: batch.batch_no,
        seen: batch.sweep_at,
        again,
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
        let schedule_status = "running".to_owned();
        DueBatch {
            schedule_id: Uuid::nil(),
            batch_no: 1,
            send_at,
            check_at,
            sweep_at,
            requeues: 0,
            crashes: 0,
            schedule_status,
        }
    }

    #[test]
    fn a_paused_schedule_is_asked_about_but_not_sent() {
        let now = Utc::now();
        let paused = DueBatch {
            schedule_status: "paused".into(),
            ..batch(Some(now), Some(now), now)
        };
        assert_eq!(
            (due_to_send(&paused, now), due_to_check(&paused, now)),
            (None, Some(now))
        );
    }

    #[test]
    fn a_parked_batch_is_left_alone_for_a_while() {
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
            push_back(&parked, false, now, &Backoff::default()).again,
            now + PARKED
        );
    }

    #[test]
    fn the_sweep_comes_back_after_the_due_time_and_ever_later() {
        let now = Utc::now();
        let due = now + TimeDelta::seconds(70);
        let next = batch(Some(due), None, now);
        assert_eq!(
            push_back(&next, true, now, &Backoff::default()).again,
            due + TimeDelta::minutes(2)
        );
        let again = DueBatch {
            requeues: 3,
            send_at: Some(now - TimeDelta::hours(1)),
            ..next
        };
        assert_eq!(
            push_back(&again, true, now, &Backoff::default()).again,
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
    fn what_is_due_later_is_not_enqueued_yet() {
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
