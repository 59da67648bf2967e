//! A turn: a schedule with batches that wait, as an admission reads it. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use uuid::Uuid;

use super::slots::Demand;
use crate::{message::window::Window, schedule::priority::Priority};

/// Batches of a schedule with a rate are admitted this long ahead of their time. A worker that
/// releases a batch and the sweep that follows then find the next ones enqueued.
pub const RATE_AHEAD: TimeDelta = TimeDelta::seconds(15);
/// A batch counts as admitted from this long before its time. A schedule that begins later gets its
/// slots ahead of time.
pub const DUE_SOON: TimeDelta = TimeDelta::seconds(2);

/// What the batches of a turn need.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Class {
    /// Nothing from the carrier: the schedule was cancelled, or its end has passed. Workers close
    /// what was not sent.
    Closing,
    /// Capacity, by the priority of the schedule.
    Sending(Priority),
}

/// A batch that waits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WaitingBatch {
    /// `batches.batch_no`
    pub batch_no: u32,
    /// `batches.pending`
    pub pending: u32,
}

/// The row of a turn as it was read: it is changed only if it is still the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TurnTimes {
    /// `turns.ready_at`
    pub ready_at: DateTime<Utc>,
    /// `turns.next_send_at`
    pub next_send_at: DateTime<Utc>,
}

/// A schedule with batches that wait for their turn.
#[derive(Clone, Debug)]
pub struct Turn {
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// What its batches need.
    pub class: Class,
    /// `turns.virtual_parts`; 0: no batch was admitted yet; 1: a batch has returned.
    pub virtual_parts: u64,
    /// `schedules.parts`
    pub parts: u16,
    /// `schedules.rate`
    pub rate: Option<u32>,
    /// `schedules.send_window`
    pub window: Option<Window>,
    /// The end of the schedule.
    pub ends_at: Option<DateTime<Utc>>,
    /// The times as they were read.
    pub seen: TurnTimes,
    /// The time of its next batch.
    pub next_send_at: DateTime<Utc>,
    /// Its next batches; those that were not read wait for another admission.
    pub batches: Vec<WaitingBatch>,
    /// More batches wait than were read.
    pub has_more: bool,
}

impl Turn {
    /// Returns the time at which the next batch is sent, if it is admitted at `now`: neither in the
    /// past nor while the window is closed. If the schedule ends before the window opens, it is sent,
    /// and closed, at the end.
    pub fn send_time(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        if self.class == Class::Closing {
            return now;
        }
        let at = self.next_send_at.max(now);
        let opens = self
            .window
            .as_ref()
            .map_or(at, |window| window.next_open(at));
        match self.ends_at {
            Some(end) if end < opens => end.max(at),
            _ => opens,
        }
    }

    /// Whether no batch was admitted since the turn began.
    pub const fn is_new(&self) -> bool {
        self.virtual_parts == 0
    }

    /// Whether it has a virtual time of its own. It has none before its first batch, nor if a batch
    /// has returned to it after all were admitted.
    pub const fn has_joined(&self) -> bool {
        self.virtual_parts > 1
    }

    /// Whether the schedule begins later, or continues when its window opens: its slots are those
    /// of that time.
    pub fn is_ahead(&self, now: DateTime<Utc>) -> bool {
        self.class != Class::Closing && self.rate.is_none() && self.send_time(now) > now + DUE_SOON
    }

    /// Returns what its next batch needs, if that was read.
    pub fn next_demand(&self, taken: usize) -> Option<Demand> {
        let batch = self.batches.get(taken)?;
        Some(Demand::of_batch(batch.pending, self.parts))
    }

    /// Returns when the next batch may be admitted, if nothing is admitted before `now`.
    pub fn ready_at(&self, now: DateTime<Utc>) -> DateTime<Utc> {
        let at = self.send_time(now);
        if self.rate.is_some() {
            at - RATE_AHEAD
        } else {
            at
        }
    }
}
