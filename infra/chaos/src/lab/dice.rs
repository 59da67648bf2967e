//! Everything that is random in a run, from its seed.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use fastrand::Rng;

/// Shared by all that draw in a run. Handlers that work at the same time draw in the order in which they come: the plan of a run is the
/// same for the same seed, its fine grain is nearly so.
#[derive(Clone)]
pub struct Dice(Arc<Mutex<Rng>>);

impl Dice {
    /// That go on where `rng` is.
    pub fn new(rng: Rng) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Whether what happens so often happens now.
    pub fn chance(&self, share: f64) -> bool {
        share > 0.0 && self.with(Rng::f64) < share
    }

    /// A time in milliseconds.
    pub fn millis(&self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.with(|rng| rng.u64(range)))
    }

    /// Likewise, on the run's clock.
    pub fn delta(&self, range: RangeInclusive<u64>) -> TimeDelta {
        TimeDelta::milliseconds(self.millis(range).as_millis() as i64)
    }

    /// A number.
    pub fn number(&self, range: RangeInclusive<u32>) -> u32 {
        self.with(|rng| rng.u32(range))
    }
}
