//! Durations in buckets: percentiles of any number of them in a few kilobytes. Pure.
//!
//! Bucket 0 is for no time at all. Bucket *n* holds the milliseconds from `RATIO`^(*n* - 1) up to
//! `RATIO`^*n*, and stands for the geometric mean of both, which differs from each of its durations
//! by less than 5 %. The longest duration is kept exactly.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The bounds of a bucket have this ratio.
const RATIO: f64 = 1.1;

/// Returns the width of a bucket on the scale of natural logarithms: the database divides by it.
pub fn log_width() -> f64 {
    RATIO.ln()
}

/// Durations in milliseconds.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
pub struct Histogram {
    /// The number of durations in each bucket that has any.
    buckets: BTreeMap<u32, u64>,
    /// The longest duration.
    max_ms: u64,
}

impl Histogram {
    /// Adds durations of one bucket, of which the longest takes `max_ms`.
    pub fn add(&mut self, bucket: u32, count: u64, max_ms: u64) {
        *self.buckets.entry(bucket).or_default() += count;
        self.max_ms = self.max_ms.max(max_ms);
    }

    /// Returns the number of durations.
    pub fn count(&self) -> u64 {
        self.buckets.values().sum()
    }

    /// Returns the longest duration; `None`: there is none.
    pub fn max_ms(&self) -> Option<u64> {
        (!self.buckets.is_empty()).then_some(self.max_ms)
    }

    /// Returns the shortest duration that at least `percent` of all do not exceed, within 5 % and
    /// rounded to a millisecond; `None`: there is none.
    pub fn percentile_ms(&self, percent: u64) -> Option<u64> {
        let rank = (self.count() * percent).div_ceil(100).max(1);
        let mut passed = 0;
        let bucket = self.buckets.iter().find(|(_, count)| {
            passed += **count;
            passed >= rank
        });
        bucket.map(|(bucket, _)| middle(*bucket).min(self.max_ms))
    }
}

/// Returns the duration for which a bucket stands.
fn middle(bucket: u32) -> u64 {
    if bucket == 0 {
        return 0;
    }
    RATIO.powf(f64::from(bucket) - 0.5).round() as u64
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::json;

    use super::*;

    /// Returns the bucket of a duration, as the statement of the summary computes it.
    fn bucket_of(ms: u64) -> u32 {
        match ms {
            0 => 0,
            ms => ((ms as f64).ln() / log_width()).floor() as u32 + 1,
        }
    }

    fn histogram(durations: &[u64]) -> Histogram {
        let mut histogram = Histogram::default();
        for ms in durations {
            histogram.add(bucket_of(*ms), 1, *ms);
        }
        histogram
    }

    /// Durations of each magnitude, up to three years.
    fn durations() -> impl Strategy<Value = Vec<u64>> {
        let one = (0_u32..37).prop_flat_map(|bits| 0..=1_u64 << bits);
        prop::collection::vec(one, 1..300)
    }

    proptest! {
        #[test]
        fn percentiles_are_within_5_percent_and_the_longest_is_exact(mut given in durations(), percent in 1_u64..=100) {
            let histogram = histogram(&given);
            given.sort_unstable();
            let exact = given[(given.len() as u64 * percent).div_ceil(100) as usize - 1];
            let found = histogram.percentile_ms(percent).unwrap_or(u64::MAX);
            let most = exact as f64 * 0.05 + 0.5;
            prop_assert!((found as f64 - exact as f64).abs() <= most, "{found} for {exact}");
            prop_assert_eq!(histogram.max_ms(), given.last().copied());
            prop_assert!(found <= given[given.len() - 1]);
            prop_assert_eq!(histogram.count(), given.len() as u64);
        }

        #[test]
        fn parts_add_up_to_the_whole_and_survive_storage(given in durations(), at in 0_usize..300) {
            let whole = histogram(&given);
            let (first, second) = given.split_at(at.min(given.len()));
            let stored = json!(histogram(first)).to_string();
            let mut parts: Histogram = serde_json::from_str(&stored).unwrap_or_default();
            for ms in second {
                parts.add(bucket_of(*ms), 1, *ms);
            }
            prop_assert_eq!(&parts, &whole);
        }
    }

    #[test]
    fn few_durations_have_percentiles_too() {
        let of = |durations: &[u64]| {
            let histogram = histogram(durations);
            [50, 99].map(|percent| histogram.percentile_ms(percent))
        };
        assert_eq!(of(&[]), [None, None]);
        assert_eq!(of(&[0, 0]), [Some(0), Some(0)]);
        assert_eq!(of(&[7]), [Some(7), Some(7)]);
        assert_eq!(of(&[1, 1, 9]), [Some(1), Some(9)]);
        assert_eq!(histogram(&[]).max_ms(), None);
    }

    #[test]
    fn the_longest_times_need_few_buckets() {
        // From the year 1000 to 9999.
        assert!(bucket_of(9_000 * 366 * 86_400_000) < 400);
    }
}
