//! A turn, while it is decided what is admitted of it.

use chrono::{DateTime, Utc};

use crate::{
    batch::admission::{
        slots::Demand,
        turn::{Class, DUE_SOON, RATE_AHEAD, Turn},
    },
    schedule::priority::Priority,
};

/// A turn during the decision.
pub struct Candidate {
    pub turn: Turn,
    /// How many of its batches are admitted.
    pub taken: usize,
    /// Their message parts.
    pub taken_parts: u64,
    /// With a rate: batches up to this time are admitted.
    pub horizon: Option<DateTime<Utc>>,
    /// It waits for a later time, such as the opening of its window.
    pub is_later: bool,
}

impl Candidate {
    pub fn new(turn: Turn, now: DateTime<Utc>) -> Self {
        // A schedule that begins gets all batches of its first seconds, since nothing of it is
        // released before them.
        let start = if turn.is_new() {
            turn.send_time(now)
        } else {
            now
        };
        Self {
            horizon: turn.rate.map(|_| start + RATE_AHEAD),
            is_later: turn.is_ahead(now),
            taken: 0,
            taken_parts: 0,
            turn,
        }
    }

    /// Returns what the batch needs that may be admitted next.
    pub fn demand(&self, now: DateTime<Utc>) -> Option<Demand> {
        let is_near = self
            .horizon
            .is_none_or(|horizon| self.turn.send_time(now) <= horizon);
        self.turn.next_demand(self.taken).filter(|_| is_near)
    }

    /// Returns the message parts of that batch.
    pub fn parts(&self, now: DateTime<Utc>) -> Option<u64> {
        self.demand(now).map(|demand| demand.parts)
    }

    /// Whether that batch takes a slot when it is admitted. Until it is due, a batch of a schedule
    /// with a rate takes none.
    pub fn takes_slot(&self, now: DateTime<Utc>) -> bool {
        self.is_later || self.turn.send_time(now) <= now + DUE_SOON
    }

    /// Returns the priority; `None`: its batches are only closed.
    pub const fn priority(&self) -> Option<Priority> {
        match self.turn.class {
            Class::Closing => None,
            Class::Sending(priority) => Some(priority),
        }
    }
}
