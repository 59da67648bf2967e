//! The carrier's capacity: limits on submit requests, on message parts and on status queries per
//! second, counted in one of several ways.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

use serde::{Deserialize, Serialize};

/// How a limit per second is counted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Counting {
    /// What was admitted in the second before the request.
    #[default]
    SlidingWindow,
    /// What was admitted since the last full second.
    FixedWindow,
    /// A bucket that fills at the limit, and contains what fills it in `limit_burst_ms`.
    TokenBucket,
}

/// A limit, as the settings define it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Limit {
    /// 0: no limit.
    pub(crate) per_second: u32,
    pub(crate) counting: Counting,
    /// The time in which an empty bucket fills.
    pub(crate) burst_ms: u32,
}

/// What counts against a limit.
#[derive(Default)]
pub(crate) struct RateLimit {
    /// Admitted in the window, with their sum.
    admitted: VecDeque<(Instant, u64)>,
    sum: u64,
    /// The first request, from which fixed windows are counted.
    begun: Option<Instant>,
    /// Missing in the bucket, and when that was computed.
    missing: f64,
    filled_at: Option<Instant>,
}

/// What counts against each of the carrier's limits.
#[derive(Default)]
pub(crate) struct RateLimits {
    pub(crate) requests: RateLimit,
    pub(crate) parts: RateLimit,
    pub(crate) queries: RateLimit,
}

impl RateLimit {
    /// Returns whether `cost` more fits into the limit. Counts nothing.
    pub(crate) fn has_room(&mut self, limit: Limit, cost: u64, now: Instant) -> bool {
        if limit.per_second == 0 {
            *self = Self::default();
            return true;
        }
        match limit.counting {
            Counting::SlidingWindow => {
                self.forget(|at| now - at >= Duration::from_secs(1));
                self.sum + cost <= limit.per_second.into()
            }
            Counting::FixedWindow => {
                let begun = *self.begun.get_or_insert(now);
                let window = (now - begun).as_secs();
                self.forget(|at| (at - begun).as_secs() < window);
                self.sum + cost <= limit.per_second.into()
            }
            Counting::TokenBucket => {
                let rate = f64::from(limit.per_second);
                let elapsed = now - *self.filled_at.get_or_insert(now);
                self.missing = (self.missing - elapsed.as_secs_f64() * rate).max(0.0);
                self.filled_at = Some(now);
                let contents = (rate * f64::from(limit.burst_ms) / 1000.0).max(1.0);
                self.missing + cost as f64 <= contents
            }
        }
    }

    /// Counts what was admitted.
    pub(crate) fn count(&mut self, cost: u64, now: Instant) {
        self.admitted.push_back((now, cost));
        self.sum += cost;
        self.missing += cost as f64;
        // A bucket forgets nothing, and does not need the list.
        if self.admitted.len() > 100_000
            && let Some((_, cost)) = self.admitted.pop_front()
        {
            self.sum -= cost;
        }
    }

    fn forget(&mut self, is_over: impl Fn(Instant) -> bool) {
        while let Some(&(at, cost)) = self.admitted.front()
            && is_over(at)
        {
            self.admitted.pop_front();
            self.sum -= cost;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Checks which requests of one unit are admitted.
    fn assert_admitted(counting: Counting, burst_ms: u32, table: &[(u64, bool)]) {
        let mut rate_limit = RateLimit::default();
        let start = Instant::now();
        let limit = Limit {
            per_second: 2,
            counting,
            burst_ms,
        };
        for &(at_ms, expected) in table {
            let now = start + Duration::from_millis(at_ms);
            let admitted = rate_limit.has_room(limit, 1, now);
            if admitted {
                rate_limit.count(1, now);
            }
            assert_eq!(admitted, expected, "{counting:?}: {at_ms} ms");
        }
    }

    #[test]
    fn no_window_of_one_second_exceeds_the_limit() {
        let table = [
            (0, true),
            (900, true),
            (999, false),
            (1_000, true),
            (1_500, false),
            (1_900, true),
            (1_950, false),
        ];
        assert_admitted(Counting::SlidingWindow, 0, &table);
    }

    #[test]
    fn a_fixed_window_ends_with_its_second() {
        let table = [
            (0, true),
            (900, true),
            (999, false),
            (1_000, true),
            (1_001, true),
            (1_900, false),
            (3_000, true),
        ];
        assert_admitted(Counting::FixedWindow, 0, &table);
    }

    #[test]
    fn a_bucket_admits_a_burst_and_then_the_limit() {
        let burst_of_four = [
            (0, true),
            (0, true),
            (0, true),
            (0, true),
            (0, false),
            (400, false),
            (500, true),
            (999, false),
            (1_000, true),
        ];
        assert_admitted(Counting::TokenBucket, 2_000, &burst_of_four);
        // A bucket contains at least one.
        assert_admitted(
            Counting::TokenBucket,
            1,
            &[(0, true), (1, false), (500, true)],
        );
    }

    #[test]
    fn costs_are_added_up_and_a_limit_of_zero_admits_everything() {
        let mut rate_limit = RateLimit::default();
        let now = Instant::now();
        let mut limit = Limit {
            per_second: 100,
            counting: Counting::SlidingWindow,
            burst_ms: 1_000,
        };
        assert!(rate_limit.has_room(limit, 60, now));
        rate_limit.count(60, now);
        assert!(!rate_limit.has_room(limit, 41, now));
        assert!(rate_limit.has_room(limit, 40, now));
        limit.per_second = 0;
        assert!(rate_limit.has_room(limit, 1_000, now));
    }
}
