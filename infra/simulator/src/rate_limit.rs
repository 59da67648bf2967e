//! The carrier's capacity: a limit on the submit requests in any one second.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

/// The submit requests that were admitted during the last second.
#[derive(Default)]
pub(crate) struct RateLimit(VecDeque<Instant>);

impl RateLimit {
    /// Admits one more request unless a window of one second would then hold more than
    /// `max_per_second`. 0 means no limit.
    pub(crate) fn admit(&mut self, max_per_second: u32, now: Instant) -> bool {
        if max_per_second == 0 {
            self.0.clear();
            return true;
        }
        while self
            .0
            .front()
            .is_some_and(|admitted| now - *admitted >= Duration::from_secs(1))
        {
            self.0.pop_front();
        }
        let admitted = self.0.len() < max_per_second as usize;
        if admitted {
            self.0.push_back(now);
        }
        admitted
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_window_of_one_second_exceeds_the_limit() {
        let mut limit = RateLimit::default();
        let start = Instant::now();
        let admitted =
            |limit: &mut RateLimit, at_ms| limit.admit(2, start + Duration::from_millis(at_ms));
        let table = [
            (0, true),
            (900, true),
            (999, false),
            (1_000, true),
            (1_500, false),
            (1_900, true),
            (1_950, false),
        ];
        for (at_ms, expected) in table {
            assert_eq!(admitted(&mut limit, at_ms), expected, "{at_ms}");
        }
    }
}
