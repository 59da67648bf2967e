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
        self.end_before_opening()
            .map_or_else(|| self.opening(), |end| end.max(self.run_at))
    }

    /// Returns `schedules.opens_at`: [`Start::at`], unless that is `run_at`.
    pub fn opens_at(self) -> Option<DateTime<Utc>> {
        Some(self.at()).filter(|at| *at != self.run_at)
    }

    /// Returns this start if it is ahead, else that of a schedule whose `run_at` is now.
    #[must_use]
    pub fn now_if_passed(self, now: DateTime<Utc>) -> Self {
        let run_at = if self.at() > now { self.run_at } else { now };
        Self { run_at, ..self }
    }

    /// Returns the end if it comes before the window opens: nothing is sent, and the recipients are
    /// closed then.
    pub fn end_before_opening(self) -> Option<DateTime<Utc>> {
        self.end().filter(|end| *end < self.opening())
    }

    fn opening(self) -> DateTime<Utc> {
        Window::of(self.send_window).map_or(self.run_at, |window| window.next_open(self.run_at))
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
            let opens_at = (begins != run_at).then(|| at(begins));
            assert_eq!(start.opens_at(), opens_at, "{run_at} {send_window:?}");
        }
        let within = Start {
            run_at: at("2026-11-23T17:00:00Z"),
            send_window: Some(hours),
            send_until: None,
            send_within_s: Some(3_600),
        };
        assert_eq!(within.at(), at("2026-11-23T18:00:00Z"));
        assert_eq!(within.end_before_opening(), Some(within.at()));
    }

    #[test]
    fn a_schedule_begins_at_the_local_time_of_its_window_when_clocks_change() {
        let at = |text: &str| text.parse::<DateTime<Utc>>().unwrap();
        let hours = |from: &str| {
            format!(
                r#"{{"days":["Mon","Tue","Wed","Thu","Fri","Sat","Sun"],"from":"{from}","to":"20:00","zone":"Europe/Berlin"}}"#
            )
        };
        // Clocks skip the hour from 02:00 on March 29, and repeat the one from 02:00 on October 25.
        for (run_at, from, begins) in [
            ("2026-03-28T20:00:00Z", "08:00", "2026-03-29T06:00:00Z"),
            ("2026-03-27T20:00:00Z", "08:00", "2026-03-28T07:00:00Z"),
            ("2026-03-28T20:00:00Z", "02:30", "2026-03-29T01:00:00Z"),
            ("2026-10-24T19:00:00Z", "08:00", "2026-10-25T07:00:00Z"),
            ("2026-10-24T19:00:00Z", "02:30", "2026-10-25T00:30:00Z"),
        ] {
            let window = hours(from);
            let start = Start {
                run_at: at(run_at),
                send_window: Some(&window),
                send_until: None,
                send_within_s: None,
            };
            assert_eq!(start.opens_at(), Some(at(begins)), "{run_at} {from}");
        }
    }
}
