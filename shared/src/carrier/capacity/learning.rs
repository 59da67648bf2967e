//! How a limit that nobody has configured is learned from answers 429: it grows slowly and is reduced
//! by a factor. Pure; the growth is part of the statement [`super::grant`].
//!
//! The numbers are the result of a search over simulated carriers that count in fixed windows, in
//! sliding windows and with token buckets (`shared/tests/capacity/learning.rs`), so that few
//! requests are refused and most of the limit is used.

use chrono::{DateTime, TimeDelta, Utc};

use super::HORIZON;

/// Units per second after the first 429. The search then doubles it every 0.45 s while it is used,
/// until the next 429. A higher value overshoots at slow carriers, which costs more than a second of
/// search at fast ones.
pub const FIRST_PER_SECOND: f64 = 170.0;
/// A learned limit is never lower than this: the carrier takes at least something.
pub const LEAST_PER_SECOND: f64 = 1.0;
/// A 429 this soon after a reduction means that the limit is still far too high. A learned limit
/// does not grow for this time.
pub const SETTLING: TimeDelta = TimeDelta::seconds(1);

/// After the first 429 nothing is sent for this time: the requests in flight have used a second's
/// limit.
const FIRST_PAUSE: TimeDelta = TimeDelta::seconds(1);
/// After a later 429 nothing is sent for this time. A token bucket fills meanwhile, and a window
/// that is full takes nothing anyway.
const PAUSE: TimeDelta = TimeDelta::milliseconds(190);
/// Factor of a 429 that ends a search: the search has doubled the limit in 0.45 s, and the carrier's
/// burst has hidden the true one for some time.
const AFTER_SEARCH: f64 = 0.4;
/// Factor of a 429 soon after a reduction, before the search has grown.
const SEARCH_DOWN: f64 = 0.33;
/// Factor of a later 429: the true limit is just below. Often it is only jitter at a carrier that
/// counts in sliding windows.
const NEAR: f64 = 0.97;
/// Factor of a later 429 soon after a reduction.
const NEAR_SOON: f64 = 0.86;

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
        let Some(per_second) = self.per_second else {
            return Some(Self {
                per_second: Some(FIRST_PER_SECOND),
                ceiling: None,
                refused_at: now,
            });
        };
        // Slots that were granted before the reduction start up to a horizon after it.
        if started_at <= self.refused_at + HORIZON {
            return None;
        }
        let is_soon = started_at < self.refused_at + SETTLING + HORIZON;
        let factor = match (self.ceiling, is_soon) {
            (None, true) => SEARCH_DOWN,
            (None, false) => AFTER_SEARCH,
            (Some(_), true) => NEAR_SOON,
            (Some(_), false) => NEAR,
        };
        let is_search_over = self.ceiling.is_some() || !is_soon;
        Some(Self {
            per_second: Some((per_second * factor).max(LEAST_PER_SECOND)),
            ceiling: is_search_over.then_some(per_second),
            refused_at: now,
        })
    }

    /// Returns the time until which nothing is sent after the reduction that led from `before` to
    /// this state.
    pub fn paused_until(&self, before: &Self) -> DateTime<Utc> {
        let pause = before.per_second.map_or(FIRST_PAUSE, |_| PAUSE);
        self.refused_at + pause
    }
}
