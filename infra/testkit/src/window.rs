//! Sending windows around the present, for tests that run at any time of the day.

use std::ops::Range;

use chrono::{DateTime, Timelike, Utc};
use shared::message::window::{TimeOfDay, Window};

/// Returns a window that is open each day in the given range of minutes, which are counted from the
/// start of the minute of `now`. Its zone is one in which it is noon now: a window that crosses
/// midnight is not valid.
///
/// # Panics
/// For minutes further than eleven hours from `now`.
#[must_use]
pub fn daily(now: DateTime<Utc>, minutes: Range<i32>) -> Window {
    // In POSIX, zones east of Greenwich are negative.
    let zone = format!("Etc/GMT{:+}", now.hour() as i32 - 12);
    let at = |minutes: i32| {
        let minutes = 12 * 60 + now.minute() as i32 + minutes;
        TimeOfDay::parse(&format!("{:02}:{:02}", minutes / 60, minutes % 60)).unwrap()
    };
    Window {
        days: ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]
            .map(|day| day.parse().unwrap())
            .to_vec(),
        from: at(minutes.start),
        to: at(minutes.end),
        zone: zone.parse().unwrap(),
    }
}

/// Returns a window as the column `schedules.send_window` holds it.
#[must_use]
pub fn column(window: &Window) -> String {
    serde_json::to_string(window).unwrap()
}

#[cfg(test)]
mod tests {
    use chrono::TimeDelta;

    use super::*;

    #[test]
    fn it_is_open_in_the_range_at_each_time_of_the_day() {
        let midnight: DateTime<Utc> = "2026-11-29T00:00:07Z".parse().unwrap();
        for minute in 0..24 * 60 {
            let now = midnight + TimeDelta::minutes(minute);
            let window = daily(now, 3..13);
            let start = now - TimeDelta::seconds(7);
            assert_eq!(window.next_open(now), start + TimeDelta::minutes(3));
            let closes = start + TimeDelta::minutes(13);
            assert_eq!(window.next_close(now), Some(closes));
        }
    }
}
