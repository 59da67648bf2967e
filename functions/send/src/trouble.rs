//! What a pass has learnt of the carrier's trouble, and how it goes on: slower, smaller, or not at all.

use std::time::Duration;

use shared::platform::backoff;
use tokio::time::Instant;

/// A longer wait goes through the queue, where it costs nothing.
const WAIT_IN_PLACE: Duration = Duration::from_secs(5);

/// Whether the pass goes on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// With another request, in its time.
    Continue,
    /// Not now: the batch is released, and tried again later.
    Stop,
}

/// The trouble so far.
#[derive(Debug, Default)]
pub struct Trouble {
    /// Requests in a row that were not accepted.
    throttled: u32,
    /// After a lost or missing answer one number at a time, until the carrier answers again: a carrier that hangs costs one UNCERTAIN
    /// recipient a pass, not hundreds.
    careful: bool,
    not_before: Option<Instant>,
}

impl Trouble {
    /// Of a pass that follows `tries - 1` passes without an acceptance.
    pub fn after(tries: u32) -> Self {
        Self {
            careful: tries > 1,
            ..Self::default()
        }
    }

    /// One number a request.
    pub fn is_careful(&self) -> bool {
        self.careful
    }

    /// One request at a time.
    pub fn is_single(&self) -> bool {
        self.careful || self.throttled > 0
    }

    /// When the next request may start, if not at once.
    pub fn not_before(&self) -> Option<Instant> {
        self.not_before
    }

    /// The carrier took a request: over.
    pub fn accepted(&mut self) {
        *self = Self::default();
    }

    /// An answer was lost; twice in a row is enough.
    pub fn lost(&mut self) -> Next {
        let next = if self.careful {
            Next::Stop
        } else {
            Next::Continue
        };
        self.careful = true;
        next
    }

    /// The carrier takes nothing just now.
    pub fn not_accepted(&mut self, retry_after: Option<Duration>) -> Next {
        self.throttled += 1;
        let wait = backoff::in_place(self.throttled, retry_after);
        self.not_before = Some(Instant::now() + wait);
        if wait > WAIT_IN_PLACE {
            Next::Stop
        } else {
            Next::Continue
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_lost_answers_in_a_row_end_the_pass() {
        let mut trouble = Trouble::after(1);
        assert_eq!(
            (trouble.lost(), trouble.is_careful()),
            (Next::Continue, true)
        );
        trouble.accepted();
        assert_eq!(
            (trouble.is_careful(), trouble.lost(), trouble.lost()),
            (false, Next::Continue, Next::Stop)
        );
    }

    #[test]
    fn a_pass_after_a_vain_one_begins_carefully() {
        let mut trouble = Trouble::after(2);
        assert_eq!((trouble.is_careful(), trouble.lost()), (true, Next::Stop));
    }

    #[test]
    fn short_waits_are_waited_for_and_long_ones_go_through_the_queue() {
        let mut trouble = Trouble::after(1);
        let nexts: Vec<_> = (0..6).map(|_| trouble.not_accepted(None)).collect();
        assert_eq!(nexts[..4], [Next::Continue; 4]);
        assert_eq!(nexts[5], Next::Stop);
        assert!(trouble.is_single() && trouble.not_before().is_some());
        assert_eq!(
            Trouble::after(1).not_accepted(Some(Duration::from_secs(6))),
            Next::Stop
        );
    }
}
