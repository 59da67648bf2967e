//! The carrier's condition during a pass: whether the pass continues at full speed, slower, with
//! smaller requests, or not at all.

use std::ops::ControlFlow;

use shared::platform::backoff;
use tokio::time::Instant;

use super::turn::WAIT_IN_PLACE;

/// The carrier's condition, according to the answers of a pass so far.
///
/// The methods `on_…` return `Break` if the pass must stop: the batch is released and retried
/// later.
#[derive(Debug, Default)]
pub struct Throttle {
    /// Consecutive requests without a connection.
    unconnected: u32,
    /// After a lost or missing answer each request carries one number, until the carrier answers
    /// again: a carrier that hangs costs one UNCERTAIN recipient per pass, not hundreds.
    careful: bool,
    not_before: Option<Instant>,
}

impl Throttle {
    /// Returns the condition at the start of a pass that follows `tries - 1` passes without an
    /// acceptance.
    pub fn after_tries(tries: u32) -> Self {
        Self {
            careful: tries > 1,
            ..Self::default()
        }
    }

    /// Returns whether a request may carry one number only.
    pub fn is_careful(&self) -> bool {
        self.careful
    }

    /// Returns whether only one request may be in flight.
    pub fn is_single(&self) -> bool {
        self.careful || self.unconnected > 0
    }

    /// Returns when the next request may start, if not at once.
    pub fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// Resets the condition: the carrier accepted a request.
    pub fn on_accepted(&mut self) {
        *self = Self::default();
    }

    /// Notes a lost answer. The second consecutive one stops the pass.
    pub fn on_lost(&mut self) -> ControlFlow<()> {
        if self.careful {
            return ControlFlow::Break(());
        }
        self.careful = true;
        ControlFlow::Continue(())
    }

    /// Notes that there was no connection. A wait longer than [`WAIT_IN_PLACE`] stops the pass.
    pub fn on_not_connected(&mut self) -> ControlFlow<()> {
        self.unconnected += 1;
        let wait = backoff::in_place(self.unconnected);
        self.not_before = Some(Instant::now() + wait);
        if wait > WAIT_IN_PLACE {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_consecutive_lost_answers_stop_the_pass() {
        let mut throttle = Throttle::after_tries(1);
        assert!(throttle.on_lost().is_continue() && throttle.is_careful());
        throttle.on_accepted();
        assert!(!throttle.is_careful());
        assert!(throttle.on_lost().is_continue());
        assert!(throttle.on_lost().is_break());
    }

    #[test]
    fn a_pass_after_one_without_an_acceptance_starts_carefully() {
        let mut throttle = Throttle::after_tries(2);
        assert!(throttle.is_careful() && throttle.on_lost().is_break());
    }

    #[test]
    fn a_short_wait_happens_in_place_and_a_long_one_stops_the_pass() {
        let mut throttle = Throttle::after_tries(1);
        let flows: Vec<_> = (0..6).map(|_| throttle.on_not_connected()).collect();
        assert!(flows[..4].iter().all(ControlFlow::is_continue));
        assert!(flows[5].is_break());
        assert!(throttle.is_single() && throttle.not_before().is_some());
    }
}
