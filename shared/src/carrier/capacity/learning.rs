//! How a limit that nobody has configured is learned from answers 429: additive increase,
//! multiplicative decrease. Pure; the increase is part of the statement [`super::grant`].

use chrono::{DateTime, Utc};

use super::HORIZON;

/// Units per second after the first 429. The search then doubles it until the next one.
pub const FIRST_PER_SECOND: f64 = 200.0;
/// A learned limit is never lower than this: the carrier takes at least something.
pub const LEAST_PER_SECOND: f64 = 1.0;
/// The limit after a 429 that ends a search, as a share of the one before. The search doubles the
/// limit, so the true one lies between a half of it and all of it.
pub const SEARCH_FACTOR: f64 = 0.6;
/// The limit after each later 429, as a share of the one before: the true one is just below it.
pub const CEILING_FACTOR: f64 = 0.95;

/// The learned state of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Learned {
    /// Units per second; `None`: no 429 so far.
    pub per_second: Option<f64>,
    /// The limit at the last 429; `None`: the search is not over.
    pub ceiling: Option<f64>,
    /// When a 429 last reduced the limit.
    pub refused_at: DateTime<Utc>,
}

impl Learned {
    /// Returns the state after a 429 at `now` to a request that started at `started_at`, or `None`
    /// if nothing changes: the request belongs to a round that has reduced the limit already.
    pub fn after_refusal(&self, started_at: DateTime<Utc>, now: DateTime<Utc>) -> Option<Self> {
        // Slots that were granted before the reduction start up to a horizon after it.
        if self.per_second.is_some() && started_at <= self.refused_at + HORIZON {
            return None;
        }
        let per_second = self.per_second.map_or(FIRST_PER_SECOND, |per_second| {
            let factor = self.ceiling.map_or(SEARCH_FACTOR, |_| CEILING_FACTOR);
            (per_second * factor).max(LEAST_PER_SECOND)
        });
        Some(Self {
            per_second: Some(per_second),
            ceiling: self.per_second,
            refused_at: now,
        })
    }
}
