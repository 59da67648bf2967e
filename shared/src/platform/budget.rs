//! The time of one invocation. Lambda ends the process at the deadline, so requests stop early
//! enough for their answers to be recorded, and the lease ends after the process.

use std::time::{Duration, Instant, SystemTime};

use chrono::{DateTime, TimeDelta, Utc};

/// The deadline of one invocation, on two clocks: the monotonic clock cannot be set back, and the
/// wall clock continues while an environment is frozen.
#[derive(Clone, Copy, Debug)]
pub struct Budget {
    monotonic: Instant,
    wall: SystemTime,
}

impl Budget {
    /// Returns a budget of `time` from now.
    pub fn new(time: Duration) -> Self {
        Self {
            monotonic: Instant::now() + time,
            wall: SystemTime::now() + time,
        }
    }

    /// Returns a budget until the deadline in Lambda's context.
    pub fn until(wall: SystemTime) -> Self {
        Self::new(wall.duration_since(SystemTime::now()).unwrap_or_default())
    }

    /// Returns the time that is left, on the clock on which less is left.
    pub fn remaining(&self) -> Duration {
        let monotonic = self.monotonic.saturating_duration_since(Instant::now());
        monotonic.min(
            self.wall
                .duration_since(SystemTime::now())
                .unwrap_or_default(),
        )
    }

    /// Whether a request that takes at most `timeout` may still start, so that `recording` is left
    /// when it ends.
    pub fn allows(&self, timeout: Duration, recording: Duration) -> bool {
        self.remaining() > timeout + recording
    }

    /// Returns the end of a lease that starts now, on the database's clock: `margin` after the
    /// deadline.
    pub fn lease_until(&self, now: DateTime<Utc>, margin: TimeDelta) -> DateTime<Utc> {
        now + TimeDelta::from_std(self.remaining()).unwrap_or_default() + margin
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_starts_only_if_its_answer_can_still_be_recorded() {
        let budget = Budget::new(Duration::from_secs(30));
        let recording = Duration::from_secs(5);
        assert!(budget.allows(Duration::from_secs(20), recording));
        assert!(!budget.allows(Duration::from_secs(25), recording));
        assert!(
            !Budget::until(SystemTime::now() - Duration::from_secs(1))
                .allows(Duration::ZERO, Duration::ZERO)
        );
    }

    #[test]
    fn a_lease_ends_after_the_invocation() {
        let now = Utc::now();
        let lease =
            Budget::new(Duration::from_secs(60)).lease_until(now, TimeDelta::seconds(10)) - now;
        assert!(
            lease > TimeDelta::seconds(69) && lease <= TimeDelta::seconds(70),
            "{lease}"
        );
    }
}
