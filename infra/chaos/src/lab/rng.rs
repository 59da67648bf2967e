//! The random number generator of a run. Everything random in a run comes from its seed.

use std::{
    ops::RangeInclusive,
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use chrono::TimeDelta;
use fastrand::Rng;

/// A generator that all parts of a run share. Handlers that work at the same time draw in the order
/// in which they arrive: the plan of a run is the same for the same seed, its details nearly so.
#[derive(Clone)]
pub struct SharedRng(Arc<Mutex<Rng>>);

impl SharedRng {
    /// Continues the sequence of `rng`.
    pub fn new(rng: Rng) -> Self {
        Self(Arc::new(Mutex::new(rng)))
    }

    fn with<T>(&self, draw: impl FnOnce(&mut Rng) -> T) -> T {
        draw(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// Returns true with the given probability.
    pub fn chance(&self, probability: f64) -> bool {
        probability > 0.0 && self.with(Rng::f64) < probability
    }

    /// Draws a real duration in milliseconds.
    pub fn millis(&self, range: RangeInclusive<u64>) -> Duration {
        Duration::from_millis(self.with(|rng| rng.u64(range)))
    }

    /// Draws a duration on the run's clock, in milliseconds.
    pub fn delta(&self, range_ms: RangeInclusive<u64>) -> TimeDelta {
        TimeDelta::milliseconds(self.millis(range_ms).as_millis() as i64)
    }

    /// Draws a number.
    pub fn number(&self, range: RangeInclusive<u32>) -> u32 {
        self.with(|rng| rng.u32(range))
    }
}
