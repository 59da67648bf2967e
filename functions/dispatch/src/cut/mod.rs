//! One schedule: lock, cut, commit, enqueue. A crash after the commit leaves batches that the sweep finds at once; a crash between
//! sending and marking costs a duplicate message, never a batch.

pub mod store;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    events::{EventType, queue::enqueue},
    message::window::Window,
    platform::{
        backoff::CLOCK_TOLERANCE,
        db,
        fault::{self, Point},
        queue::{BatchMessage, DeliveryMessage, DispatchMessage, Outgoing},
    },
    schedule::{event::record_event, lifecycle},
};
use sqlx::MySqlConnection;
use uuid::Uuid;

use self::store::{NewBatch, Outcome, Schedule};
use crate::{DispatchedBy, Dispatcher, plan};

/// Batches enqueued between two marks: eight `SendMessageBatch` calls of ten.
const WAVE: usize = 80;

/// What became of a schedule.
enum Cut {
    /// Not due, another version, or cut already.
    Nothing,
    /// Found too late: it waits for a person. Who is to be told.
    Missed(Vec<DeliveryMessage>),
    /// Cut into these.
    Batches(Outcome, Vec<NewBatch>, Vec<DeliveryMessage>),
}

/// What is to become of it.
enum Decision {
    Nothing,
    Missed,
    Cut(Outcome),
}

impl Dispatcher {
    /// Cuts the schedule if it is due, of that version and not cut yet, and enqueues what is due soon.
    pub async fn dispatch(
        &self,
        message: DispatchMessage,
        way: DispatchedBy,
    ) -> anyhow::Result<()> {
        let cut = db::retry_lock_conflicts(|| self.cut(message, way))
            .await
            .context("cutting the schedule")?;
        let (outcome, batches, told) = match cut {
            Cut::Nothing => {
                tracing::info!(schedule.id = %message.schedule_id, way = way.as_str(), "nothing to cut");
                return Ok(());
            }
            Cut::Missed(told) => {
                tracing::error!(schedule.id = %message.schedule_id, way = way.as_str(), "schedule missed");
                enqueue(&self.notify_queue, &told, self.db.now()).await;
                return Ok(());
            }
            Cut::Batches(outcome, batches, told) => (outcome, batches, told),
        };
        tracing::info!(schedule.id = %message.schedule_id, way = way.as_str(), ?outcome, batches = batches.len(), "schedule cut");
        fault::reach(
            Point::Cut,
            BatchMessage {
                schedule_id: message.schedule_id,
                batch_no: 0,
            },
        )
        .await;
        self.enqueue(message, &batches).await?;
        enqueue(&self.notify_queue, &told, self.db.now()).await;
        if batches.is_empty() {
            self.finish(message.schedule_id).await
        } else {
            Ok(())
        }
    }

    /// Finishes a schedule that has nothing left to do.
    pub(crate) async fn finish(&self, schedule_id: Uuid) -> anyhow::Result<()> {
        let told = lifecycle::finish(&self.db, schedule_id)
            .await
            .context("finishing a schedule")?;
        enqueue(&self.notify_queue, &told.unwrap_or_default(), self.db.now()).await;
        Ok(())
    }

    /// The transaction.
    async fn cut(&self, message: DispatchMessage, way: DispatchedBy) -> sqlx::Result<Cut> {
        let mut transaction = self.db.pool.begin().await?;
        let cut = self.write_cut(&mut transaction, message, way).await;
        // Never left to the drop: a frozen environment would keep the lock.
        match cut {
            Ok(Cut::Batches(..) | Cut::Missed(_)) => transaction.commit().await?,
            _ => transaction.rollback().await?,
        }
        cut
    }

    async fn write_cut(
        &self,
        db: &mut MySqlConnection,
        message: DispatchMessage,
        way: DispatchedBy,
    ) -> sqlx::Result<Cut> {
        let now = self.db.now();
        let Some(schedule) = store::lock_schedule(db, message.schedule_id).await? else {
            return Ok(Cut::Nothing);
        };
        let outcome = match self.decide(&schedule, message, now) {
            Decision::Nothing => return Ok(Cut::Nothing),
            Decision::Missed => {
                if !store::mark_missed(db, message).await? {
                    return Ok(Cut::Nothing);
                }
                return Ok(Cut::Missed(
                    record_event(db, EventType::ScheduleMissed, message.schedule_id, now).await?,
                ));
            }
            Decision::Cut(outcome) => outcome,
        };
        let size = plan::stretch_size(self.settings.batch_size, schedule.rate);
        let stretches = store::read_seq_ranges(db, message.schedule_id, size).await?;
        // What is only closed needs no spreading.
        let spread = match outcome {
            Outcome::Running => {
                let window = Window::of(schedule.send_window.as_deref());
                plan::Spread {
                    start: schedule.run_at,
                    rate: schedule.rate,
                    window,
                }
            }
            Outcome::Cancelled => plan::Spread {
                start: now,
                rate: None,
                window: None,
            },
        };
        let batches = plan::plan(&stretches, &spread, now, &self.settings);
        if !store::mark_cut(
            db,
            message,
            (outcome, batches.len() as u32, way.as_str()),
            now,
        )
        .await?
        {
            return Ok(Cut::Nothing);
        }
        store::insert_batches(db, message.schedule_id, &batches).await?;
        let told = match outcome {
            Outcome::Running => {
                record_event(db, EventType::ScheduleStarted, message.schedule_id, now).await?
            }
            // Told by who has cancelled it.
            Outcome::Cancelled => Vec::new(),
        };
        Ok(Cut::Batches(outcome, batches, told))
    }

    fn decide(
        &self,
        schedule: &Schedule,
        message: DispatchMessage,
        now: DateTime<Utc>,
    ) -> Decision {
        if schedule.batch_count.is_some() || schedule.version != message.version {
            return Decision::Nothing;
        }
        // Nothing was to be sent before its window opened.
        let planned = Window::of(schedule.send_window.as_deref())
            .map_or(schedule.run_at, |window| window.next_open(schedule.run_at));
        let late = planned + TimeDelta::seconds(schedule.max_lateness_s.into()) < now;
        match schedule.status.as_str() {
            "scheduled" if schedule.run_at > now + self.settings.lead + CLOCK_TOLERANCE => {
                Decision::Nothing
            }
            "scheduled" if late => Decision::Missed,
            "scheduled" => Decision::Cut(Outcome::Running),
            "cancelled" => Decision::Cut(Outcome::Cancelled),
            _ => Decision::Nothing,
        }
    }

    /// Puts what is due soon on the send queue, wave by wave, and marks each wave. What the queue refuses stays due for the sweep.
    async fn enqueue(&self, schedule: DispatchMessage, batches: &[NewBatch]) -> anyhow::Result<()> {
        let now = self.db.now();
        let due: Vec<_> = batches
            .iter()
            .filter(|batch| plan::is_enqueued_now(batch.send_at, now, self.settings.lead))
            .cloned()
            .collect();
        for wave in due.chunks(WAVE) {
            let now = self.db.now();
            let message = |batch: &NewBatch| BatchMessage {
                schedule_id: schedule.schedule_id,
                batch_no: batch.batch_no,
            };
            let messages: Vec<_> = wave
                .iter()
                .map(|batch| Outgoing::batch(message(batch), batch.send_at, now))
                .collect();
            let failed = self.send_queue.send(&messages).await;
            fault::reach(
                Point::Enqueued,
                BatchMessage {
                    schedule_id: schedule.schedule_id,
                    batch_no: 0,
                },
            )
            .await;
            let taken = wave
                .iter()
                .enumerate()
                .filter(|(at, _)| !failed.contains(at))
                .map(|(_, batch)| batch.clone());
            let taken: Vec<_> = taken.collect();
            db::retry_lock_conflicts(|| {
                store::mark_enqueued(
                    &self.db,
                    schedule.schedule_id,
                    &taken,
                    &self.settings.backoff,
                )
            })
            .await
            .context("marking batches enqueued")?;
        }
        Ok(())
    }
}
