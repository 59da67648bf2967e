//! The carrier's limit, as one environment's share of it: message parts a second.

use std::time::{Duration, Instant};

/// Says when the next request may start.
pub struct Pace {
    parts_per_second: Option<f64>,
    free_at: Instant,
}

impl Pace {
    /// `None`: no limit.
    pub fn new(parts_per_second: Option<f64>) -> Self {
        Self {
            parts_per_second,
            free_at: Instant::now(),
        }
    }

    /// How long until a request may start.
    pub fn wait(&self) -> Duration {
        self.free_at.saturating_duration_since(Instant::now())
    }

    /// Notes a request of so many message parts.
    pub fn note(&mut self, parts: usize) {
        if let Some(rate) = self.parts_per_second {
            self.free_at =
                self.free_at.max(Instant::now()) + Duration::from_secs_f64(parts as f64 / rate);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_pushes_the_next_one_back_by_its_parts() {
        let mut pace = Pace::new(Some(100.0));
        assert_eq!(pace.wait(), Duration::ZERO);
        pace.note(300);
        let wait = pace.wait().as_secs_f64();
        assert!(wait > 2.9 && wait <= 3.0, "{wait}");
        let mut free = Pace::new(None);
        free.note(1_000_000);
        assert_eq!(free.wait(), Duration::ZERO);
    }
}
