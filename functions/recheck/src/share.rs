//! The schedule's share of the carrier's limit on status queries. Pure.
//!
//! Equal schedules get equal shares, and a schedule that needs less than its share gets all that it
//! needs. So a large schedule asks less often, and a small one as often as without a limit.

use chrono::TimeDelta;

use crate::store::OpenQueries;

/// A schedule with at most the queries of this many seconds of the limit is asked about first.
const SMALL_S: f64 = 1.0;

/// A share of a limit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Share {
    /// The time in which each schedule gets as many queries as this one has messages.
    pub round: TimeDelta,
    /// The schedule is so small that it need not wait for others.
    pub is_small: bool,
}

/// The queries of a pass.
#[derive(Clone, Copy, Debug)]
pub struct PassQueries {
    /// Messages that were asked about.
    pub asked: usize,
    /// Messages that were open when the pass began.
    pub open: usize,
    /// No pass before this one has asked.
    pub is_first: bool,
}

impl Share {
    /// Returns the share of a limit in queries per second.
    pub fn of(queries: OpenQueries, per_second: f64) -> Self {
        let seconds = queries.shared / per_second.max(1.0);
        Self {
            round: TimeDelta::milliseconds((seconds * 1000.0) as i64),
            is_small: queries.own <= SMALL_S * per_second,
        }
    }

    /// Returns how long the next pass over the batch has to wait, so that the schedule keeps its
    /// share. `phase` is random, from 0 to 1.
    ///
    /// After the first pass, and after one that asked nothing, the wait is random: otherwise the
    /// batches of a list, which were sent in a short time, would always be asked about together.
    pub fn least_delay(&self, asked: PassQueries, phase: f64) -> TimeDelta {
        let part = if asked.is_first || asked.asked == 0 {
            phase
        } else {
            asked.asked as f64 / asked.open.max(1) as f64
        };
        TimeDelta::milliseconds((self.round.num_milliseconds() as f64 * part) as i64)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_large_schedule_asks_less_often_and_a_small_one_does_not_wait() {
        let large = OpenQueries {
            own: 15_000.0,
            shared: 15_200.0,
        };
        let share = Share::of(large, 100.0);
        assert_eq!(share.round, TimeDelta::seconds(152));
        assert!(!share.is_small);
        let small = OpenQueries {
            own: 10.0,
            shared: 210.0,
        };
        let share = Share::of(small, 100.0);
        assert_eq!(share.round, TimeDelta::milliseconds(2100));
        assert!(share.is_small);
    }

    #[test]
    fn a_pass_that_asked_less_comes_back_earlier() {
        let share = Share {
            round: TimeDelta::seconds(100),
            is_small: false,
        };
        for (asked, is_first, expected_s) in [
            (500, false, 100),
            (100, false, 20),
            (0, false, 70),
            (500, true, 70),
        ] {
            let asked = PassQueries {
                asked,
                open: 500,
                is_first,
            };
            let delay = share.least_delay(asked, 0.7);
            assert_eq!(delay.num_seconds(), expected_s, "{asked:?}");
        }
    }
}
