//! The rate of a pass in message parts per second: this environment's share of the carrier's limit,
//! or the schedule's own rate.

use std::time::{Duration, Instant};

use shared::{batch::claim::ClaimedBatch, platform::backoff::SECONDS_OF_RATE};

/// Computes when the next request may start.
pub struct Pace {
    parts_per_second: Option<f64>,
    free_at: Instant,
}

impl Pace {
    /// Returns the pace for a rate; `None` means no limit.
    fn new(parts_per_second: Option<f64>) -> Self {
        Self {
            parts_per_second,
            free_at: Instant::now(),
        }
    }

    /// Returns the pace for a batch: the slower of the environment's limit and the schedule's rate.
    pub fn of_batch(batch: &ClaimedBatch, limit: Option<f64>) -> Self {
        let rate = rate_within_batch(batch).map(|rate| f64::from(rate) * f64::from(batch.parts));
        Self::new(limit.into_iter().chain(rate).min_by(f64::total_cmp))
    }

    /// Returns how long to wait before a request may start.
    pub fn wait(&self) -> Duration {
        self.free_at.saturating_duration_since(Instant::now())
    }

    /// Records the start of a request of `parts` message parts.
    pub fn record(&mut self, parts: usize) {
        if let Some(rate) = self.parts_per_second {
            self.free_at =
                self.free_at.max(Instant::now()) + Duration::from_secs_f64(parts as f64 / rate);
        }
    }
}

/// Returns the schedule's rate if it has to be kept within the batch, by small requests: if the
/// batch was cut for a faster rate. Otherwise the cut has spread the batches, and each goes out as
/// fast as the carrier accepts it.
pub fn rate_within_batch(batch: &ClaimedBatch) -> Option<u32> {
    batch
        .rate
        .filter(|rate| batch.last_seq - batch.first_seq >= rate * SECONDS_OF_RATE)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_delays_the_next_one_by_its_parts() {
        let mut pace = Pace::new(Some(100.0));
        assert_eq!(pace.wait(), Duration::ZERO);
        pace.record(300);
        let wait = pace.wait().as_secs_f64();
        assert!(wait > 2.9 && wait <= 3.0, "{wait}");
        let mut unlimited = Pace::new(None);
        unlimited.record(1_000_000);
        assert_eq!(unlimited.wait(), Duration::ZERO);
    }
}
