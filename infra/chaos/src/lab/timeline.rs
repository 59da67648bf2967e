//! The relation between real time, which the carrier stamps, and the run's clock, which jumps.

use std::sync::{Mutex, MutexGuard, PoisonError};

use chrono::{DateTime, TimeDelta, Utc};
use shared::platform::db::Clock;

/// The offsets of the run's clock, each with the real time from which it holds.
pub struct Timeline(Mutex<Vec<(DateTime<Utc>, TimeDelta)>>);

impl Timeline {
    /// Starts with the current offset of a clock.
    pub fn new(clock: &Clock) -> Self {
        let timeline = Self(Mutex::default());
        timeline.record(clock);
        timeline
    }

    fn offsets(&self) -> MutexGuard<'_, Vec<(DateTime<Utc>, TimeDelta)>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Records the offset of a clock that has jumped.
    pub fn record(&self, clock: &Clock) {
        let real = Utc::now();
        self.offsets().push((real, clock.now() - real));
    }

    /// Returns what the run's clock showed at a real time.
    pub fn at(&self, real: DateTime<Utc>) -> DateTime<Utc> {
        let offsets = self.offsets();
        let place = offsets.partition_point(|(from, _)| *from <= real);
        let (_, offset) = offsets[place.saturating_sub(1)];
        real + offset
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_real_time_is_converted_with_the_offset_of_its_moment() {
        let clock = Clock::behind(Duration::from_hours(1));
        let timeline = Timeline::new(&clock);
        let before = Utc::now();
        let shown_before = clock.now();
        std::thread::sleep(Duration::from_millis(20));
        clock.advance(Duration::from_hours(3));
        timeline.record(&clock);
        let near = |left: DateTime<Utc>, right: DateTime<Utc>| {
            (left - right).abs() < TimeDelta::milliseconds(10)
        };
        assert!(near(timeline.at(before), shown_before));
        assert!(near(timeline.at(Utc::now()), clock.now()));
    }
}
