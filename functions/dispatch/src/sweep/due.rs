//! The batches whose `sweep_at` has passed: enqueues those that were never enqueued, whose owner has
//! crashed, or whose message is lost.
//!
//! `sweep_at` up to the due time means that the batch was never enqueued. Later it means that the
//! batch was enqueued and should have been claimed. Then its message is lost if the queue shows no
//! message; if it shows one, the queue is slow, and a second message would only make it longer.

use std::collections::{BTreeMap, HashSet};

use anyhow::Context;
use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    batch::admission::never,
    platform::{
        backoff::{Backoff, MAX_CRASHES, before_due},
        db::{self, describe::describe},
        metrics::{self, Counter},
        queue::{Outgoing, SharedQueue},
    },
    schedule::status::ScheduleStatus,
};

use super::store::{self, DueBatch, PushBack};
use crate::Dispatcher;

/// The sweep enqueues, with the exact delay, batches that fall due within this time: two of its
/// minutes.
const SWEEP_AHEAD: TimeDelta = TimeDelta::seconds(120);
/// The interval at which the sweep checks a parked batch, and logs it for the alarm.
const PARKED: TimeDelta = TimeDelta::minutes(32);
/// While a queue is slow, the sweep looks again at what it holds in its next minute.
const SLOW: TimeDelta = TimeDelta::seconds(50);

/// Whether the queues show no message, before the sweep enqueues any.
#[derive(Clone, Copy, Debug)]
pub(super) struct QueueState {
    send_is_empty: bool,
    recheck_is_empty: bool,
}

impl Dispatcher {
    /// Reads whether the queues show messages. One that does not answer counts as slow.
    pub(super) async fn queue_state(&self) -> QueueState {
        let is_empty = async |queue: &SharedQueue| match queue.visible_messages().await {
            Ok(visible) => visible == 0,
            Err(error) => {
                tracing::warn!(error = describe(&error), "the queue does not answer");
                false
            }
        };
        QueueState {
            send_is_empty: is_empty(&self.send_queue).await,
            recheck_is_empty: is_empty(&self.recheck_queue).await,
        }
    }

    /// Enqueues the batches whose lease has expired: their owners have crashed.
    pub(super) async fn enqueue_expired(
        &self,
        queues: QueueState,
        has_time: &impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        loop {
            let now = self.db.now();
            let round = store::expired_batches(&self.db, now)
                .await
                .context("looking for expired leases")?;
            if !self.enqueue_round(round, queues).await? || !has_time() {
                return Ok(());
            }
        }
    }

    /// Enqueues the batches that are due.
    pub(super) async fn enqueue_due(
        &self,
        queues: QueueState,
        has_time: &impl Fn() -> bool,
    ) -> anyhow::Result<()> {
        // At least one round, however short the timeout of the invocation is.
        loop {
            let now = self.db.now();
            let round = store::due_batches(&self.db, now)
                .await
                .context("looking for due batches")?;
            if !self.enqueue_round(round, queues).await? || !has_time() {
                return Ok(());
            }
        }
    }

    /// Enqueues the batches of a round, and moves the time at which the sweep checks them again.
    /// Returns whether another round may find more.
    async fn enqueue_round(
        &self,
        round: Vec<DueBatch>,
        queues: QueueState,
    ) -> anyhow::Result<bool> {
        if round.is_empty() {
            return Ok(false);
        }
        let now = self.db.now();
        let sends = round
            .iter()
            .map(|batch| send_state(batch, now).at_queue(queues.send_is_empty))
            .collect();
        let sent = enqueue_states(&self.send_queue, &round, sends, now).await;
        let checks = round
            .iter()
            .map(|batch| check_state(batch, now).at_queue(queues.recheck_is_empty))
            .collect();
        let rechecked = enqueue_states(&self.recheck_queue, &round, checks, now).await;
        let mut back = Vec::with_capacity(round.len());
        for (at, batch) in round.iter().enumerate() {
            if batch.crashes >= MAX_CRASHES {
                metrics::count(Counter::BatchesParked, 1);
                tracing::error!(schedule.id = %batch.schedule_id, batch.no = batch.batch_no, batch.crashes = batch.crashes, "batch parked");
            }
            // A batch that a queue has refused keeps its sweep_at: the next sweep retries it.
            if !sent.refused.contains(&at) && !rechecked.refused.contains(&at) {
                let kinds = [sent.states[at], rechecked.states[at]];
                back.push(push_back(batch, kinds, now, &self.settings.backoff));
            }
        }
        log_repairs(&round, &sent, &rechecked);
        metrics::count(Counter::SweepRepairs, sent.repairs() + rechecked.repairs());
        db::retry_lock_conflicts(|| store::push_back(&self.db, &back))
            .await
            .context("pushing batches back")?;
        Ok(round.len() == store::ROUND as usize && !back.is_empty())
    }
}

/// What the sweep does about one kind of work of a batch.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum State {
    /// There is none, or it waits for its turn, for the end of a pause or for the release of the brake.
    None,
    /// It is due later; the sweep enqueues it then.
    Later(DateTime<Utc>),
    /// It is enqueued, and not due yet.
    Enqueued(DateTime<Utc>),
    /// It was never enqueued, or its owner has crashed: it is enqueued.
    New { due: DateTime<Utc>, crashed: bool },
    /// It was enqueued, and no worker has claimed it: its message may be lost.
    Overdue(DateTime<Utc>),
    /// The same, and the queue shows messages.
    Slow,
    /// The same, and the queue shows none: it is enqueued again.
    Lost(DateTime<Utc>),
}

impl State {
    /// Decides about an overdue message at a queue that shows no message, or some.
    fn at_queue(self, is_empty: bool) -> Self {
        match self {
            Self::Overdue(due) if is_empty => Self::Lost(due),
            Self::Overdue(_) => Self::Slow,
            other => other,
        }
    }
}

fn send_state(batch: &DueBatch, now: DateTime<Utc>) -> State {
    let may_send = !batch.waiting
        && match batch.schedule_status {
            ScheduleStatus::Paused => false,
            ScheduleStatus::Cancelled => true,
            _ => !batch.is_stopped,
        };
    state(batch, batch.send_at.filter(|_| may_send), now)
}

fn check_state(batch: &DueBatch, now: DateTime<Utc>) -> State {
    state(batch, batch.check_at, now)
}

fn state(batch: &DueBatch, due: Option<DateTime<Utc>>, now: DateTime<Utc>) -> State {
    let Some(due) = due.filter(|_| batch.crashes < MAX_CRASHES) else {
        return State::None;
    };
    let crashed = batch.claimed_until.is_some_and(|until| until < now);
    if due > now + SWEEP_AHEAD {
        State::Later(due)
    } else if crashed || batch.sweep_at <= due {
        State::New { due, crashed }
    } else if due > now {
        State::Enqueued(due)
    } else {
        State::Overdue(due)
    }
}

/// The result for the batches of a round at one queue, by their places in the round.
struct Enqueued {
    states: Vec<State>,
    refused: HashSet<usize>,
}

impl Enqueued {
    /// Returns whether the queue has taken a message for the batch at this place.
    fn has_taken(&self, at: usize) -> bool {
        to_enqueue(&self.states[at]).is_some() && !self.refused.contains(&at)
    }

    /// Returns how many batches were enqueued because their messages were lost or their owners have
    /// crashed. The others were due too late for the delay of a queue.
    fn repairs(&self) -> u64 {
        let is_repair =
            |state: &State| matches!(state, State::Lost(_) | State::New { crashed: true, .. });
        let states = self.states.iter().enumerate();
        states
            .filter(|(at, state)| is_repair(state) && !self.refused.contains(at))
            .count() as u64
    }
}

/// Logs what the sweep has enqueued: one line for each schedule, whatever the number of its batches.
fn log_repairs(round: &[DueBatch], sent: &Enqueued, rechecked: &Enqueued) {
    let mut repairs = BTreeMap::<_, [u32; 2]>::new();
    for (at, batch) in round.iter().enumerate() {
        let taken = [sent, rechecked].map(|queue| u32::from(queue.has_taken(at)));
        if taken != [0, 0] {
            let counts = repairs.entry(batch.schedule_id).or_default();
            *counts = [counts[0] + taken[0], counts[1] + taken[1]];
        }
    }
    for (schedule_id, [sent, rechecked]) in repairs {
        tracing::warn!(schedule.id = %schedule_id, trace.id = %schedule_id.simple(), sent, rechecked, "the sweep enqueued batches");
    }
}

/// Returns the due time of work that is enqueued.
fn to_enqueue(state: &State) -> Option<DateTime<Utc>> {
    match *state {
        State::New { due, .. } | State::Lost(due) => Some(due),
        _ => None,
    }
}

/// Enqueues the batches of a round that are new, or whose messages are lost.
async fn enqueue_states(
    queue: &SharedQueue,
    round: &[DueBatch],
    states: Vec<State>,
    now: DateTime<Utc>,
) -> Enqueued {
    let due: Vec<_> = states
        .iter()
        .enumerate()
        .filter_map(|(at, state)| Some((at, to_enqueue(state)?)))
        .collect();
    let messages: Vec<_> = due
        .iter()
        .map(|&(at, due)| Outgoing::batch(round[at].message(), due, now))
        .collect();
    let failed = queue.send(&messages).await;
    Enqueued {
        refused: failed.into_iter().map(|place| due[place].0).collect(),
        states,
    }
}

fn push_back(
    batch: &DueBatch,
    kinds: [State; 2],
    now: DateTime<Utc>,
    backoff: &Backoff,
) -> PushBack {
    // Only a message that was sent again counts: each time, the sweep waits longer.
    let is_sent_again = kinds
        .iter()
        .any(|state| matches!(state, State::Lost(_) | State::New { crashed: true, .. }));
    let requeues = batch.requeues + u32::from(is_sent_again);
    let looks = kinds.iter().filter_map(|state| match *state {
        State::None | State::Overdue(_) => None,
        State::Later(due) => Some(before_due(due).max(now)),
        State::Enqueued(due) => Some(due + backoff.lost_after()),
        State::Slow => Some(now + SLOW),
        State::New { due, .. } | State::Lost(due) => {
            Some(due.max(now) + backoff.sweep_again(requeues))
        }
    });
    let next = if batch.crashes >= MAX_CRASHES {
        now + PARKED
    } else {
        looks.min().unwrap_or_else(never)
    };
    PushBack {
        schedule_id: batch.schedule_id,
        batch_no: batch.batch_no,
        seen: batch.sweep_at,
        next,
        requeued: u8::from(is_sent_again),
    }
}

#[cfg(test)]
mod tests;
