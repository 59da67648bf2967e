//! The plan of a cut: which recipients make a batch, and when each batch is sent. Pure.

use chrono::{DateTime, TimeDelta, Utc};
use shared::{batch::admission::SECONDS_OF_LIMIT, message::window::Window};

use crate::cut::store::{NewBatch, PendingRange};

/// If a schedule has a rate, a batch contains at most the messages of this many seconds.
const SECONDS_OF_RATE: u32 = 2;

/// A batch of a schedule without a rate holds at least this many recipients.
const LEAST_BATCH: u32 = 10;

/// A list is divided among all workers, but not into smaller batches than this.
const LEAST_SHARE: u32 = 500;

/// The size of a batch is a multiple of what a full request carries, so that its last request is
/// full too.
const FULL_REQUEST: u32 = 100;

/// A list is not cut into more batches than this, if `BATCH_SIZE` allows it: a cut is one
/// transaction. The rate and the limit are kept by each request of a pass, however large its batch.
const MOST_BATCHES: u32 = 20_000;

/// What limits the size of a batch.
#[derive(Clone, Copy, Debug)]
pub struct BatchLimits {
    /// `BATCH_SIZE`
    pub batch_size: u32,
    /// `schedules.recipient_count`
    pub recipients: u32,
    /// `SEND_CONCURRENCY`
    pub concurrency: u32,
    /// `schedules.rate`
    pub rate: Option<u32>,
    /// The carrier's limit in message parts per second, if it is known.
    pub parts_per_second: Option<f64>,
    /// The parts of each message.
    pub parts: u16,
}

/// Returns how many places of the recipient list make a batch: at most two seconds of the rate, and
/// half a second of the carrier's limit, so that a small schedule never waits long for a batch of a
/// large one. Otherwise a worker's share of the list, so that a short list is sent by many workers,
/// and a long one in few batches.
pub fn range_size(limits: &BatchLimits) -> u32 {
    let by_limit = limits.parts_per_second.map_or(u32::MAX, |per_second| {
        let messages = SECONDS_OF_LIMIT * per_second / f64::from(limits.parts.max(1));
        (messages as u32).max(LEAST_BATCH)
    });
    let by_rate = limits
        .rate
        .map_or(u32::MAX, |rate| rate.saturating_mul(SECONDS_OF_RATE));
    // The workers end together if each of them gets the same number of batches.
    let workers = limits.concurrency.max(1);
    let rounds = limits
        .recipients
        .div_ceil(workers.saturating_mul(limits.batch_size).max(1))
        .max(1);
    let share = limits.recipients.div_ceil(workers.saturating_mul(rounds));
    let by_share = share.max(LEAST_SHARE).next_multiple_of(FULL_REQUEST);
    by_share
        .min(by_limit)
        .min(by_rate)
        .max(limits.recipients.div_ceil(MOST_BATCHES))
        .min(limits.batch_size)
        .max(1)
}

/// The period over which the batches are spread.
#[derive(Clone, Debug)]
pub struct Spread {
    /// Nothing is sent before this time.
    pub start: DateTime<Utc>,
    /// Messages per second; `None`: all at once.
    pub rate: Option<u32>,
    /// The hours in which messages are sent; `None`: all hours.
    pub window: Option<Window>,
}

impl Spread {
    /// Returns when a message is planned that has `before` messages before it.
    fn at(&self, before: i64) -> DateTime<Utc> {
        let offset =
            TimeDelta::milliseconds(self.rate.map_or(0, |rate| before * 1000 / i64::from(rate)));
        self.window.as_ref().map_or(self.start + offset, |window| {
            window.after(self.start, offset)
        })
    }
}

/// Plans the batches of a schedule: all at once, or spread so that at no time more messages have
/// been planned than the rate allows. They are sent when it is their turn, and not before.
pub fn plan(ranges: &[PendingRange], spread: &Spread) -> Vec<NewBatch> {
    let mut before: i64 = 0;
    let mut batches = Vec::with_capacity(ranges.len());
    for (range, batch_no) in ranges.iter().zip(1..) {
        batches.push(NewBatch {
            batch_no,
            first_seq: range.first_seq,
            last_seq: range.last_seq,
            pending: range.pending,
            cancelled: range.cancelled,
            send_at: spread.at(before),
        });
        before += i64::from(range.pending);
    }
    batches
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ranges(pending: &[u32]) -> Vec<PendingRange> {
        let range = |(n, pending): (u32, &u32)| PendingRange {
            first_seq: n * 500 + 1,
            last_seq: n * 500 + 500,
            pending: *pending,
            cancelled: 0,
        };
        (0..).zip(pending).map(range).collect()
    }

    #[test]
    fn without_a_rate_all_batches_are_sent_at_once() {
        let now = Utc::now();
        let start = now + TimeDelta::seconds(60);
        let batches = plan(
            &ranges(&[500, 499]),
            &Spread {
                start,
                rate: None,
                window: None,
            },
        );
        assert_eq!(
            batches
                .iter()
                .map(|batch| (batch.batch_no, batch.send_at))
                .collect::<Vec<_>>(),
            [(1, start), (2, start)]
        );
    }

    #[test]
    fn batches_that_do_not_fit_into_a_window_continue_in_the_next() {
        let column = r#"{"days":["Mon","Wed"],"from":"09:00","to":"09:01","zone":"UTC"}"#;
        // 2026-11-23, a Monday, 08:00.
        let start = DateTime::from_timestamp(1_795_420_800, 0).unwrap_or_default();
        let spread = Spread {
            start,
            rate: Some(10),
            window: Window::of(Some(column)),
        };
        let batches = plan(&ranges(&[500, 100, 400, 1]), &spread);
        let times: Vec<_> = batches
            .iter()
            .map(|batch| batch.send_at.to_rfc3339())
            .collect();
        let expected = [
            "2026-11-23T09:00:00",
            "2026-11-23T09:00:50",
            "2026-11-25T09:00:00",
            "2026-11-25T09:00:40",
        ];
        assert_eq!(times, expected.map(|time| format!("{time}+00:00")));
    }

    #[test]
    fn a_rate_is_never_exceeded_from_the_start_to_any_batch() {
        let now = Utc::now();
        let batches = plan(
            &ranges(&[20, 13, 20, 20]),
            &Spread {
                start: now,
                rate: Some(10),
                window: None,
            },
        );
        let mut sent = 0.0;
        for batch in &batches {
            let seconds = (batch.send_at - now).as_seconds_f64();
            assert!(
                sent <= seconds * 10.0 + 0.01,
                "batch {}: {sent} in {seconds} s",
                batch.batch_no
            );
            sent += f64::from(batch.pending);
        }
    }

    #[test]
    fn a_list_is_divided_among_the_workers() {
        for (recipients, concurrency, size) in [
            (1, 20, 500),
            (10_000, 20, 500),
            (20_000, 20, 1_000),
            // Three batches for each worker: with batches of 2,000, half of them would get a third
            // one while the others wait.
            (100_000, 20, 1_700),
            (100_000, 8, 1_800),
            (1_000_000, 20, 2_000),
            (u32::MAX, 20, 2_000),
        ] {
            let limits = BatchLimits {
                batch_size: 2_000,
                recipients,
                concurrency,
                rate: None,
                parts_per_second: None,
                parts: 1,
            };
            assert_eq!(range_size(&limits), size, "{recipients}");
        }
    }

    #[test]
    fn a_short_list_with_a_slow_rate_is_cut_into_seconds_of_it() {
        for (recipients, rate, parts_per_second, size) in [
            (40_000, Some(1), None, 2),
            (40_000, None, Some(100.0), 16),
            (1, None, Some(1.0), 10),
            // 1 message per second for 115 days.
            (10_000_000, Some(1), None, 500),
            (40_000_000, Some(1), None, 500),
        ] {
            let limits = BatchLimits {
                batch_size: 500,
                recipients,
                concurrency: 20,
                rate,
                parts_per_second,
                parts: 3,
            };
            assert_eq!(range_size(&limits), size, "{limits:?}");
        }
    }

    #[test]
    fn a_slow_rate_or_a_low_limit_makes_small_batches() {
        for (batch_size, rate, parts_per_second, size) in [
            (500, None, None, 500),
            (500, Some(30), None, 60),
            // 1,000,000 recipients: not more than 20,000 batches.
            (500, Some(1), None, 50),
            (500, Some(100), None, 200),
            (500, Some(9000), None, 500),
            (1, Some(5), None, 1),
            (500, None, Some(100.0), 50),
            (500, None, Some(1000.0), 166),
            (500, None, Some(2000.0), 333),
            (500, None, Some(1.0), 50),
            (5, None, Some(1.0), 5),
            (500, Some(2), Some(100.0), 50),
        ] {
            let limits = BatchLimits {
                batch_size,
                recipients: 1_000_000,
                concurrency: 20,
                rate,
                parts_per_second,
                parts: 3,
            };
            assert_eq!(range_size(&limits), size, "{limits:?}");
        }
    }
}
