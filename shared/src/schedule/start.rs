//! When a schedule begins.

use chrono::{DateTime, TimeDelta, Utc};

use super::row::Schedule;
use crate::message::window::Window;

/// What decides when a schedule begins.
#[derive(Clone, Copy, Debug)]
pub struct Start<'a> {
    /// Nothing is sent before this time.
    pub run_at: DateTime<Utc>,
    /// `schedules.send_window`
    pub send_window: Option<&'a str>,
    /// The end, as a time.
    pub send_until: Option<DateTime<Utc>>,
    /// The end, as seconds after `run_at`.
    pub send_within_s: Option<u32>,
}

impl<'a> Start<'a> {
    /// Returns what decides about this row.
    pub fn of(row: &'a Schedule) -> Self {
        Self {
            run_at: row.run_at,
            send_window: row.send_window.as_deref(),
            send_until: row.send_until,
            send_within_s: row.send_within_s,
        }
    }

    /// Returns when the schedule begins: at `run_at`, or when its window opens next. If its end comes
    /// before that opening, it begins at its end, so that its recipients are closed then.
    pub fn at(self) -> DateTime<Utc> {
        let opens = Window::of(self.send_window)
            .map_or(self.run_at, |window| window.next_open(self.run_at));
        match self.end() {
            Some(end) if end < opens => end.max(self.run_at),
            _ => opens,
        }
    }

    /// Returns the end.
    pub fn end(self) -> Option<DateTime<Utc>> {
        let within = |seconds: u32| self.run_at + TimeDelta::seconds(seconds.into());
        self.send_until.or(self.send_within_s.map(within))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_schedule_begins_when_its_window_opens_or_at_its_end() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let hours = r#"{"days":["Mon"],"from":"09:00","to":"17:00","zone":"UTC"}"#;
        // 2026-11-23 is a Monday.
        #[rustfmt::skip]
        let table = [
            // run_at, window, end, begins
            ("2026-11-23T08:00:00Z", None, None, "2026-11-23T08:00:00Z"),
            ("2026-11-23T08:00:00Z", Some(hours), None, "2026-11-23T09:00:00Z"),
            ("2026-11-23T10:00:00Z", Some(hours), None, "2026-11-23T10:00:00Z"),
            ("2026-11-23T17:00:00Z", Some(hours), None, "2026-11-30T09:00:00Z"),
            ("2026-11-23T08:00:00Z", Some(hours), Some("2026-11-23T12:00:00Z"), "2026-11-23T09:00:00Z"),
            ("2026-11-23T17:00:00Z", Some(hours), Some("2026-11-24T00:00:00Z"), "2026-11-24T00:00:00Z"),
            ("2026-11-23T17:00:00Z", Some(hours), Some("2026-11-23T16:00:00Z"), "2026-11-23T17:00:00Z"),
        ];
        for (run_at, send_window, end, begins) in table {
            let start = Start {
                run_at: at(run_at),
                send_window,
                send_until: end.map(at),
                send_within_s: None,
            };
            assert_eq!(start.at(), at(begins), "{run_at} {send_window:?} {end:?}");
        }
        let within = Start {
            run_at: at("2026-11-23T17:00:00Z"),
            send_window: Some(hours),
            send_until: None,
            send_within_s: Some(3_600),
        };
        assert_eq!(within.at(), at("2026-11-23T18:00:00Z"));
    }
}
