//! Carriers that count in different ways.

use std::collections::VecDeque;

use crate::bucket::Micros;

const SECOND: Micros = 1_000_000;

/// What a carrier limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counts {
    Parts,
    Requests,
}

/// How a carrier counts.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counting {
    /// From the start of each second.
    FixedWindow,
    /// In the second before each request.
    SlidingWindow,
    /// A bucket that contains a second's limit.
    TokenBucket,
}

/// A carrier that accepts `limit` parts or requests per second.
pub struct Carrier {
    counting: Counting,
    counts: Counts,
    limit: f64,
    /// In the window, or missing in the bucket.
    used: f64,
    /// The start of the window, or when the bucket was last filled.
    at: Micros,
    accepted: VecDeque<(Micros, f64)>,
}

impl Carrier {
    pub fn new(counting: Counting, counts: Counts, limit: f64) -> Self {
        Self {
            counting,
            counts,
            limit,
            used: 0.0,
            at: 0,
            accepted: VecDeque::new(),
        }
    }

    /// Returns whether a request is accepted.
    pub fn accepts(&mut self, now: Micros, parts: u32) -> bool {
        let cost = match self.counts {
            Counts::Parts => f64::from(parts),
            Counts::Requests => 1.0,
        };
        self.forget(now);
        let accepted = self.used + cost <= self.limit;
        if accepted {
            self.used += cost;
            self.accepted.push_back((now, cost));
        }
        accepted
    }

    /// Forgets what no longer counts at `now`.
    fn forget(&mut self, now: Micros) {
        match self.counting {
            Counting::FixedWindow => {
                if now / SECOND != self.at / SECOND {
                    self.used = 0.0;
                }
            }
            Counting::SlidingWindow => {
                while let Some((at, cost)) = self.accepted.front()
                    && at + SECOND <= now
                {
                    self.used -= cost;
                    self.accepted.pop_front();
                }
            }
            Counting::TokenBucket => {
                let filled = (now - self.at) as f64 / SECOND as f64 * self.limit;
                self.used = (self.used - filled).max(0.0);
            }
        }
        self.at = now;
    }
}
