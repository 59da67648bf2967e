//! The sweep: once per minute it finds the work that the fast path has missed.
//!
//! Even if both queues are purged and EventBridge fails, every message is still sent and checked.
//! Normally the sweep finds nothing. If it runs twice, each claim and each cut still happens once.

pub mod figures;
pub mod store;
pub mod velocity;

mod due;
pub(crate) mod errors;

use std::time::Duration;

use anyhow::Context;
use chrono::TimeDelta;
use shared::{
    batch::{
        admission::turns,
        canary::{decide_canary, held_schedules},
    },
    events::queue::enqueue,
    platform::{
        budget::Budget,
        db::{self, describe::describe},
        metrics::{self, Counter},
    },
};
use tokio::time::{Instant, sleep};

use self::errors::{SweepErrors, is_database_down};
use crate::{DispatchedBy, Dispatcher, SWEEP_RESERVE, retention};

/// The most deliveries that one sweep enqueues; it enqueues none while the queue holds as many
/// messages. A due delivery stays due until it is posted, so a slow queue would otherwise receive
/// the same deliveries each minute.
const DELIVERIES_PER_SWEEP: u32 = 1000;
/// The delay before a sweep starts anew that found the database down.
const DATABASE_RETRY: Duration = Duration::from_secs(2);
/// A sweep looks again if a batch may be lost within this time.
const LOOK_AHEAD: TimeDelta = TimeDelta::seconds(40);
/// The shortest time between two looks.
const LEAST_LOOK: Duration = Duration::from_secs(1);

impl Dispatcher {
    /// Sweeps, starts anew if the database is down, and then looks again while a batch is overdue
    /// that may still be on its way: until the invocation's time is up. Otherwise a lost message
    /// would be found one sweep later.
    pub(crate) async fn sweep_repeatedly(&self, budget: Budget) -> anyhow::Result<()> {
        let started = Instant::now();
        let has_time = || budget.remaining() > SWEEP_RESERVE;
        let swept = loop {
            match self.sweep(has_time).await {
                Err(error) if is_database_down(&error) && has_time() => {
                    tracing::warn!(error = describe(&error), "the database is down; retrying");
                    sleep(DATABASE_RETRY).await;
                }
                swept => break swept,
            }
        };
        if swept.is_ok() {
            // The heartbeat: an alarm is raised if it is missing for five minutes.
            metrics::count(Counter::SweepsFinished, 1);
            tracing::info!(
                duration_ms = started.elapsed().as_millis() as u64,
                "sweep finished"
            );
        }
        // Also after a failure, which may be the reason why a schedule is stuck.
        if !swept.as_ref().is_err_and(is_database_down) {
            self.record_figures().await;
        }
        while let Some(wait) = self.next_look().await? {
            let wait = wait.max(LEAST_LOOK);
            let is_over = started.elapsed() + wait > self.settings.watch;
            if is_over || budget.remaining() < SWEEP_RESERVE + wait {
                break;
            }
            sleep(wait).await;
            let queues = self.queue_state().await;
            self.enqueue_expired(queues, &has_time).await?;
            self.admit_all(&has_time).await?;
            self.enqueue_due(queues, &has_time).await?;
        }
        swept
    }

    /// Returns the time until a batch counts as lost that is overdue now, or until a schedule's turn
    /// begins, if that is soon.
    async fn next_look(&self) -> anyhow::Result<Option<Duration>> {
        let now = self.db.now();
        let next = store::next_look(&self.db, now, now + LOOK_AHEAD)
            .await
            .context("looking for the next batch")?;
        Ok(next.map(|next| (next - now).to_std().unwrap_or_default()))
    }

    /// Runs one sweep, in a fixed order: what a crash has interrupted comes first. An error does not
    /// stop the steps that follow, unless the database is down; the last one is returned. `has_time`
    /// returns whether another round may start.
    pub async fn sweep(&self, has_time: impl Fn() -> bool) -> anyhow::Result<()> {
        let mut errors = SweepErrors::default();
        let queues = self.queue_state().await;
        errors.note(self.enqueue_expired(queues, &has_time).await)?;
        errors.note(self.cut_due_schedules().await)?;
        errors.note(self.repair_turns().await)?;
        errors.note(self.decide_canaries().await)?;
        errors.note(self.admit_all(&has_time).await)?;
        errors.note(self.enqueue_due(queues, &has_time).await)?;
        errors.note(self.finish_idle_schedules().await)?;
        errors.note(self.enqueue_deliveries().await)?;
        // Last, since nothing waits for them.
        errors.note(self.compute_summaries(&has_time).await)?;
        // Rows that it does not reach are deleted an hour later.
        if retention::is_due(self.db.now()) && has_time() {
            errors.note(self.delete_expired_rows().await)?;
        }
        errors.note(self.erase_personal_data(&has_time).await.map(drop))?;
        errors.last()
    }

    /// Cuts the schedules that are due and not cut yet.
    async fn cut_due_schedules(&self) -> anyhow::Result<()> {
        let due = store::schedules_to_cut(&self.db, self.db.now() + self.settings.sweep_lead)
            .await
            .context("looking for due schedules")?;
        let mut errors = SweepErrors::default();
        for schedule in due {
            let cut = self.dispatch(schedule, DispatchedBy::Sweep).await;
            errors.note_of(schedule.schedule_id, cut)?;
        }
        errors.last()
    }

    /// Finishes running schedules with nothing left to do.
    async fn finish_idle_schedules(&self) -> anyhow::Result<()> {
        let idle = store::idle_schedules(&self.db)
            .await
            .context("looking for schedules with nothing to do")?;
        let mut errors = SweepErrors::default();
        for schedule_id in idle {
            errors.note_of(schedule_id, self.finish(schedule_id).await)?;
        }
        errors.last()
    }

    /// Opens the turns of schedules that have none although batches of them wait, and ends the turns
    /// of schedules of which none waits. Normally there is neither.
    async fn repair_turns(&self) -> anyhow::Result<()> {
        let without_turn = turns::schedules_without_turn(&self.db)
            .await
            .context("looking for schedules without a turn")?;
        let mut errors = SweepErrors::default();
        for schedule_id in without_turn {
            tracing::warn!(schedule.id = %schedule_id, "the schedule has no turn; opening one");
            metrics::count(Counter::SweepRepairs, 1);
            let now = self.db.now();
            let opened = db::retry_lock_conflicts(|| async {
                let mut connection = self.db.acquire().await?;
                turns::open_turn(&mut connection, schedule_id, now, now).await
            });
            errors.note_of(schedule_id, opened.await.context("opening a turn"))?;
        }
        let without_batch = turns::turns_without_batch(&self.db)
            .await
            .context("looking for turns without a batch")?;
        for schedule_id in without_batch {
            let ended = db::retry_lock_conflicts(|| async {
                let mut connection = self.db.acquire().await?;
                turns::end_turn(&mut connection, schedule_id).await
            });
            errors.note_of(schedule_id, ended.await.context("ending a turn"))?;
        }
        errors.last()
    }

    /// Decides about the canaries whose time is up, or whose decision a crash has prevented.
    async fn decide_canaries(&self) -> anyhow::Result<()> {
        let held = held_schedules(&self.db)
            .await
            .context("looking for canaries")?;
        let mut errors = SweepErrors::default();
        for schedule_id in held {
            let decided = decide_canary(&self.db, schedule_id)
                .await
                .context("deciding about a canary");
            if let Ok(Some(decided)) = &decided {
                enqueue(&self.notify_queue, &decided.deliveries, self.db.now()).await;
            }
            errors.note_of(schedule_id, decided.map(drop))?;
        }
        errors.last()
    }

    /// Admits batches until there is no room, or none waits.
    async fn admit_all(&self, has_time: &impl Fn() -> bool) -> anyhow::Result<()> {
        while self.admission.admit().await.context("admitting batches")? > 0 && has_time() {}
        Ok(())
    }

    /// Enqueues the event deliveries that are due. Their rows stay as they are: only notify, which
    /// posts a delivery, moves its due time. So a message that arrives twice finds the delivery
    /// posted, and the sweep finds a delivery whose message was lost.
    async fn enqueue_deliveries(&self) -> anyhow::Result<()> {
        let now = self.db.now();
        let due = store::due_deliveries(&self.db, now, DELIVERIES_PER_SWEEP)
            .await
            .context("looking for deliveries")?;
        if due.is_empty() || self.notify_queue.backlog().await? >= DELIVERIES_PER_SWEEP.into() {
            return Ok(());
        }
        tracing::info!(deliveries = due.len(), "the sweep enqueued deliveries");
        enqueue(&self.notify_queue, &due, now).await;
        Ok(())
    }

    async fn delete_expired_rows(&self) -> anyhow::Result<()> {
        let deleted = retention::delete_expired_rows(&self.db, self.db.now())
            .await
            .context("deleting expired rows")?;
        tracing::info!(?deleted, "expired rows deleted");
        Ok(())
    }
}
