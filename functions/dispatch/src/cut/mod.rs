//! The cut of one schedule: lock, cut, commit, admit.
//!
//! All batches of a cut wait for their turn at first. If the process crashes after the commit, the
//! next admission finds the turn, at the latest in the sweep.

pub mod store;

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::{admission::turns, canary::hold_behind},
    events::{EventType, queue::enqueue},
    message::window::Window,
    money::costs::fix_prices,
    platform::{
        backoff::CLOCK_TOLERANCE,
        db::transaction::transaction,
        fault::{self, Point},
        logs::context::Named,
        metrics::{self, Counter},
        queue::{BatchMessage, DeliveryMessage, DispatchMessage},
        traces,
    },
    schedule::{canary::load_canary, event::record_event, lifecycle, status::ScheduleStatus},
};
use sqlx::MySqlConnection;
use tokio::time::Instant;
use tracing::Instrument;
use uuid::Uuid;

use self::store::{CutMark, CutStatus, NewBatch, PendingRange, ScheduleToCut};
use crate::{
    DispatchedBy, Dispatcher,
    plan::{self, BatchLimits},
};

/// The decision on a schedule that is due.
enum Decision {
    /// It begins later.
    Wait,
    Miss,
    Cut(CutStatus),
}

/// The result of the transaction.
enum Written {
    /// When the schedule begins.
    Opening,
    /// The schedule was found too late, and waits for an operator. Holds the deliveries of that
    /// event.
    Missed(Vec<DeliveryMessage>),
    Cut(Cut),
}

/// The schedule to cut.
#[derive(Clone, Copy)]
struct CutOrder {
    message: DispatchMessage,
    dispatched_by: DispatchedBy,
    /// The carrier's limit in message parts per second, if it is known.
    limit: Option<f64>,
}

struct Cut {
    status: CutStatus,
    batch_count: u32,
    /// Recipients to send to.
    recipients: u32,
    /// The deliveries of the event that the schedule has started.
    deliveries: Vec<DeliveryMessage>,
}

impl Dispatcher {
    /// Cuts the schedule if it is due, has the version of the message and is not cut yet. Admits the
    /// batches that are sent first.
    pub async fn dispatch(
        &self,
        message: DispatchMessage,
        dispatched_by: DispatchedBy,
    ) -> anyhow::Result<()> {
        let span = message.span(traces::traceparent_of(message.schedule_id).as_deref());
        self.cut(message, dispatched_by).instrument(span).await
    }

    async fn cut(
        &self,
        message: DispatchMessage,
        dispatched_by: DispatchedBy,
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let limit = self.admission.limit().await.context("reading the limit")?;
        let order = CutOrder {
            message,
            dispatched_by,
            limit: limit.per_second(),
        };
        let written = transaction(&self.db, |transaction| {
            Box::pin(self.write(transaction, order))
        })
        .await
        .context("cutting the schedule")?;
        let dispatched_by = dispatched_by.as_str();
        match written {
            None | Some(Written::Opening) => {
                tracing::info!(schedule.id = %message.schedule_id, dispatched_by, "nothing to cut");
                Ok(())
            }
            Some(Written::Missed(deliveries)) => {
                metrics::count(Counter::SchedulesMissed, 1);
                tracing::error!(schedule.id = %message.schedule_id, dispatched_by, "schedule missed");
                enqueue(&self.notify_queue, &deliveries, self.db.now()).await;
                Ok(())
            }
            Some(Written::Cut(cut)) => {
                tracing::info!(schedule.id = %message.schedule_id, dispatched_by, status = ?cut.status, batches = cut.batch_count, recipients = cut.recipients,
                    duration_ms = started.elapsed().as_millis() as u64, "schedule cut");
                self.enqueue_cut(message.schedule_id, cut).await
            }
        }
    }

    /// Finishes a schedule that has nothing left to do.
    pub(crate) async fn finish(&self, schedule_id: Uuid) -> anyhow::Result<()> {
        let deliveries = lifecycle::finish(&self.db, schedule_id)
            .await
            .context("finishing a schedule")?;
        if deliveries.is_some() {
            tracing::info!(schedule.id = %schedule_id, trace.id = %schedule_id.simple(), "schedule finished");
        }
        enqueue(
            &self.notify_queue,
            &deliveries.unwrap_or_default(),
            self.db.now(),
        )
        .await;
        Ok(())
    }

    /// Locks the schedule, and cuts it or marks it as missed. Returns `None` if there is nothing to
    /// do.
    async fn write(
        &self,
        connection: &mut MySqlConnection,
        order: CutOrder,
    ) -> sqlx::Result<Option<Written>> {
        let CutOrder { message, .. } = order;
        let now = self.db.now();
        let Some(schedule) = store::lock_schedule(connection, message.schedule_id).await? else {
            return Ok(None);
        };
        match self.decide(&schedule, message, now) {
            None => Ok(None),
            Some(Decision::Wait) => {
                let opens_at = schedule.start().opens_at();
                if schedule.opens_at == opens_at {
                    return Ok(None);
                }
                store::set_opening(connection, message, opens_at).await?;
                Ok(Some(Written::Opening))
            }
            Some(Decision::Miss) => write_missed(connection, message, now).await,
            Some(Decision::Cut(status)) => {
                let size = plan::range_size(&BatchLimits {
                    batch_size: self.settings.batch_size,
                    recipients: schedule.recipient_count,
                    concurrency: self.admission.settings().concurrency,
                    rate: schedule.rate,
                    parts_per_second: order.limit,
                    parts: schedule.parts,
                });
                let id = message.schedule_id;
                let (ranges, canary) = read_ranges(connection, id, status, size).await?;
                let spread = spread(&schedule, status, now);
                let batches = plan::plan(&ranges, &spread);
                let mark = CutMark {
                    status,
                    batch_count: batches.len() as u32,
                    cancelled: batches.iter().map(|batch| batch.cancelled).sum(),
                    dispatched_by: order.dispatched_by,
                    at: now,
                };
                let written = write_cut(connection, message, mark, &batches).await?;
                if let (Some(canary), Some(_)) = (canary, &written) {
                    hold_behind(connection, id, canary.last_batch, canary.last_seq).await?;
                }
                Ok(written)
            }
        }
    }

    fn decide(
        &self,
        schedule: &ScheduleToCut,
        message: DispatchMessage,
        now: DateTime<Utc>,
    ) -> Option<Decision> {
        if schedule.batch_count.is_some() || schedule.version != message.version {
            return None;
        }
        // A schedule that waits for its window has not begun: it can be changed, and is not late.
        let start = schedule.start().at();
        let late = start + TimeDelta::seconds(schedule.max_lateness_s.into()) < now;
        let early = start > now + self.settings.lead + CLOCK_TOLERANCE;
        match schedule.status {
            ScheduleStatus::Scheduled if early => Some(Decision::Wait),
            ScheduleStatus::Scheduled if late => Some(Decision::Miss),
            ScheduleStatus::Scheduled => Some(Decision::Cut(CutStatus::Running)),
            ScheduleStatus::Cancelled => Some(Decision::Cut(CutStatus::Cancelled)),
            _ => None,
        }
    }

    /// Admits the first batches of a cut, and enqueues its event. Finishes the schedule if it has no
    /// batches.
    async fn enqueue_cut(&self, schedule_id: Uuid, cut: Cut) -> anyhow::Result<()> {
        fault::reach(Point::Cut, whole_schedule(schedule_id)).await;
        let admitted = self.admission.admit().await.context("admitting batches");
        enqueue(&self.notify_queue, &cut.deliveries, self.db.now()).await;
        if cut.batch_count == 0 {
            self.finish(schedule_id).await?;
        }
        admitted.map(drop)
    }
}

/// Where the canary of a schedule ends.
#[derive(Clone, Copy)]
struct CanaryEnd {
    last_batch: u32,
    last_seq: u32,
}

/// Reads the ranges of a list. Those of a canary are its first ones, and contain nobody else.
async fn read_ranges(
    connection: &mut MySqlConnection,
    id: Uuid,
    status: CutStatus,
    size: u32,
) -> sqlx::Result<(Vec<PendingRange>, Option<CanaryEnd>)> {
    let mut last_seq = None;
    if status == CutStatus::Running
        && let Some(canary) = load_canary(connection, id).await?
    {
        last_seq = store::last_of_canary(connection, id, canary.rule.recipients).await?;
    }
    let Some(last_seq) = last_seq else {
        let all = store::read_pending_ranges(connection, id, size, 0..=u32::MAX).await?;
        return Ok((all, None));
    };
    let mut ranges = store::read_pending_ranges(connection, id, size, 0..=last_seq).await?;
    let end = CanaryEnd {
        last_batch: ranges.len() as u32,
        last_seq,
    };
    let rest = store::read_pending_ranges(connection, id, size, last_seq + 1..=u32::MAX).await?;
    ranges.extend(rest);
    Ok((ranges, Some(end)))
}

async fn write_missed(
    connection: &mut MySqlConnection,
    message: DispatchMessage,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<Written>> {
    if !store::mark_missed(connection, message).await? {
        return Ok(None);
    }
    record_event(
        connection,
        EventType::ScheduleMissed,
        message.schedule_id,
        now,
    )
    .await
    .map(|deliveries| Some(Written::Missed(deliveries)))
}

async fn write_cut(
    connection: &mut MySqlConnection,
    message: DispatchMessage,
    mark: CutMark,
    batches: &[NewBatch],
) -> sqlx::Result<Option<Written>> {
    let schedule_id = message.schedule_id;
    if !store::mark_cut(connection, message, mark).await? {
        return Ok(None);
    }
    store::insert_batches(connection, schedule_id, batches).await?;
    fix_prices(connection, schedule_id).await?;
    if let Some(first) = batches.first() {
        turns::open_turn(connection, schedule_id, first.send_at, mark.at).await?;
    }
    let deliveries = match mark.status {
        CutStatus::Running => {
            record_event(connection, EventType::ScheduleStarted, schedule_id, mark.at).await?
        }
        // The cancel has recorded its own event.
        CutStatus::Cancelled => Vec::new(),
    };
    Ok(Some(Written::Cut(Cut {
        status: mark.status,
        batch_count: mark.batch_count,
        recipients: batches.iter().map(|batch| batch.pending).sum(),
        deliveries,
    })))
}

/// Returns how the batches are spread over time. Batches that only close their recipients are not
/// spread: those of a schedule that is cancelled, or whose end comes before its window opens.
fn spread(schedule: &ScheduleToCut, status: CutStatus, now: DateTime<Utc>) -> plan::Spread {
    let start = schedule.start();
    let at_once = |start| plan::Spread {
        start,
        rate: None,
        window: None,
    };
    match status {
        CutStatus::Cancelled => at_once(now),
        CutStatus::Running if start.end_before_opening().is_some() => at_once(start.at()),
        CutStatus::Running => plan::Spread {
            start: schedule.run_at,
            rate: schedule.rate,
            window: Window::of(schedule.send_window.as_deref()),
        },
    }
}

/// Returns the name that fault points give to a whole schedule: batch 0.
fn whole_schedule(schedule_id: Uuid) -> BatchMessage {
    BatchMessage {
        schedule_id,
        batch_no: 0,
    }
}
