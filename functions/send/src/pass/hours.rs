//! When a schedule may send: inside its window, and before its end.

use chrono::{DateTime, Utc};
use shared::{batch::claim::ClaimedBatch, message::window::Window};

/// The window and the end of a schedule.
#[derive(Clone, Debug)]
pub struct SendingHours {
    window: Option<Window>,
    ends_at: Option<DateTime<Utc>>,
}

impl SendingHours {
    /// Returns those of a batch.
    pub fn of(batch: &ClaimedBatch) -> Self {
        Self {
            window: Window::of(batch.send_window.as_deref()),
            ends_at: batch.ends_at,
        }
    }

    /// Returns whether a request may start at `now`.
    pub fn allow(&self, now: DateTime<Utc>) -> bool {
        self.ends_at.is_none_or(|ends_at| now < ends_at)
            && self
                .window
                .as_ref()
                .is_none_or(|window| window.is_open(now))
    }
}
