//! The circuit breaker of a webhook, and its share of the places for posts. Pure, except for the
//! jitter.
//!
//! A receiver that hangs occupies a place of `NOTIFY_CONCURRENCY` for the whole time of a post. So
//! a webhook has a bound on its simultaneous posts, and after failures in a row nothing is posted
//! to it for a while. The state is in the row of the webhook, because environments share nothing
//! else.

use std::time::Duration;

use chrono::{DateTime, Utc};
use shared::platform::backoff::{MAX_RETRY_AFTER, jitter};

/// Failed posts in a row after which the circuit opens. One or two may concern a single event, or a
/// restart of the receiver.
pub const OPEN_AFTER: u32 = 3;
/// How long the circuit is open at first; doubled with each further failure.
const OPEN_FIRST: Duration = Duration::from_secs(10);
/// The longest time for which failures open the circuit, without the jitter. With it, it is the 15
/// minutes for which a queue can delay the message of the probe.
const OPEN_MAX: Duration = Duration::from_mins(12);
/// Posts are counted per period of this length, and those of the last two periods count as being in
/// progress. It exceeds the time of a post. So a post is counted until it ends, and one that has
/// crashed for at most two periods.
const PERIOD_MS: i64 = 20_000;

/// Returns how long nothing is posted after `failures` failed posts in a row, or `None` if the
/// circuit stays closed. A delay that the receiver requests is kept, up to an hour.
pub fn suspension(failures: u32, retry_after: Option<Duration>) -> Option<Duration> {
    let requested = retry_after.map(|wait| wait.min(MAX_RETRY_AFTER));
    let open = failures
        .checked_sub(OPEN_AFTER)
        .map(|more| (OPEN_FIRST * 2_u32.pow(more.min(16))).min(OPEN_MAX));
    open.max(requested).map(jitter)
}

/// Returns the largest number of simultaneous posts to one healthy webhook: half of all places, so
/// that others have places if it hangs.
pub const fn places_per_webhook(concurrency: u32) -> u32 {
    if concurrency < 2 { 1 } else { concurrency / 2 }
}

/// A place that a post occupies.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// The period in which it was taken, since 1970.
    pub period: u64,
}

impl Place {
    /// Returns a place that is taken at `now`.
    pub fn at(now: DateTime<Utc>) -> Self {
        Self {
            period: now.timestamp_millis().max(0).div_euclid(PERIOD_MS) as u64,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_third_failure_opens_the_circuit_and_later_ones_double_its_time() {
        // Failures, Retry-After, seconds. A time is up to a quarter longer.
        let table = [
            (1, None, None),
            (2, None, None),
            (3, None, Some(10)),
            (4, None, Some(20)),
            (9, None, Some(640)),
            (10, None, Some(720)),
            (u32::MAX, None, Some(720)),
            (1, Some(60), Some(60)),
            (3, Some(1), Some(10)),
            (3, Some(1_000_000), Some(3600)),
        ];
        for (failures, requested, expected) in table {
            let wait = suspension(failures, requested.map(Duration::from_secs));
            let shortest = expected.map(Duration::from_secs);
            assert!(
                wait >= shortest && wait <= shortest.map(|shortest| shortest * 5 / 4),
                "{failures} {requested:?}: {wait:?}"
            );
        }
    }

    #[test]
    fn a_webhook_never_occupies_all_places() {
        for concurrency in 2..=1000 {
            let places = places_per_webhook(concurrency);
            assert!((1..concurrency).contains(&places), "{concurrency}");
        }
    }
}
