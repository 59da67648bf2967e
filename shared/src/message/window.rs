//! The sending window of a schedule: days of the week, and the hours between two times, in an IANA
//! time zone. On days on which clocks change, the window still starts and ends at its local times,
//! so it is longer or shorter.

use chrono::{
    DateTime, Datelike, Days, NaiveDate, NaiveDateTime, NaiveTime, TimeDelta, TimeZone, Utc,
    Weekday, offset::MappedLocalTime,
};
use chrono_tz::Tz;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// The minutes of a day.
const DAY: u16 = 1_440;
/// The days in which the next opening is searched: a window opens at least once per week, except on
/// a day on which clocks skip it.
const LOOK_AHEAD: u64 = 16;

/// The hours in which a schedule may send. `schedules.send_window` and the API contain it as JSON.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize, Deserialize)]
pub struct Window {
    /// The days of the week on which it opens, each once, starting with Monday.
    #[schemars(extend("items" = {"title": "Weekday", "type": "string", "enum": ["Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"]}))]
    pub days: Vec<Weekday>,
    /// When it opens.
    pub from: TimeOfDay,
    /// When it closes, on the same day; later than `from`.
    pub to: TimeOfDay,
    /// The time zone of the times.
    #[schemars(with = "String")]
    pub zone: Tz,
}

/// The form of a [`TimeOfDay`] as a regular expression.
pub const TIME_OF_DAY: &str = "^([01][0-9]|2[0-3]):[0-5][0-9]$|^24:00$";

/// A time of day from `00:00` to `24:00`, as minutes since midnight.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, JsonSchema, Serialize, Deserialize,
)]
#[serde(into = "String", try_from = "String")]
#[schemars(
    rename = "Clock",
    with = "String",
    extend("pattern" = TIME_OF_DAY)
)]
pub struct TimeOfDay(u16);

impl TimeOfDay {
    /// Parses a time such as `09:30`.
    pub fn parse(text: &str) -> Option<Self> {
        let (hours, minutes) = text.split_once(':')?;
        let well_formed = hours.len() == 2
            && minutes.len() == 2
            && text
                .bytes()
                .all(|byte| byte.is_ascii_digit() || byte == b':');
        let (hours, minutes): (u16, u16) = (hours.parse().ok()?, minutes.parse().ok()?);
        let total = hours * 60 + minutes;
        (well_formed && minutes < 60 && total <= DAY).then_some(Self(total))
    }
}

impl From<TimeOfDay> for String {
    fn from(clock: TimeOfDay) -> Self {
        format!("{:02}:{:02}", clock.0 / 60, clock.0 % 60)
    }
}

impl TryFrom<String> for TimeOfDay {
    type Error = &'static str;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        Self::parse(&text).ok_or("expected a time such as 09:30")
    }
}

/// The times at which a window opens and closes.
type Opening = (DateTime<Utc>, DateTime<Utc>);

impl Window {
    /// Reads the column; `None`: no restriction.
    pub fn of(column: Option<&str>) -> Option<Self> {
        // The API has written it, so it is well formed.
        column.and_then(|json| serde_json::from_str(json).ok())
    }

    /// Whether the window is open at that time.
    pub fn is_open(&self, at: DateTime<Utc>) -> bool {
        self.next_open(at) == at
    }

    /// Returns `at` if the window is open then, else the time at which it opens next.
    pub fn next_open(&self, at: DateTime<Utc>) -> DateTime<Utc> {
        self.opening(at).map_or(at, |(opens, _)| at.max(opens))
    }

    /// Returns the time at which the window closes next: the end of the opening that contains `at`,
    /// else of the next one.
    pub fn next_close(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        self.opening(at).map(|(_, closes)| closes)
    }

    /// Returns the time at which the window was open for `open` since `from`. Time that does not
    /// fit into one opening continues in the next.
    pub fn after(&self, from: DateTime<Utc>, mut open: TimeDelta) -> DateTime<Utc> {
        let mut at = from;
        while let Some((opens, closes)) = self.opening(at) {
            at = at.max(opens);
            if open < closes - at {
                return at + open;
            }
            open -= closes - at;
            at = closes;
        }
        at + open
    }

    /// Returns the first opening that closes after that time.
    fn opening(&self, at: DateTime<Utc>) -> Option<Opening> {
        let today = at.with_timezone(&self.zone).date_naive();
        // An hour that occurs twice may belong to the day before.
        let first = today.checked_sub_days(Days::new(1))?;
        let days = (0..LOOK_AHEAD).filter_map(|ahead| first.checked_add_days(Days::new(ahead)));
        days.filter_map(|day| self.on(day))
            .find(|(_, closes)| *closes > at)
    }

    /// Returns the opening on that day.
    fn on(&self, day: NaiveDate) -> Option<Opening> {
        let opens = self.moment(day, self.from, false)?;
        let closes = self.moment(day, self.to, true)?;
        (self.days.contains(&day.weekday()) && opens < closes).then_some((opens, closes))
    }

    /// Returns when a local time occurs; if it occurs twice, the first or the `last` time. A local
    /// time that clocks skip occurs at the end of the skipped interval.
    fn moment(&self, day: NaiveDate, clock: TimeOfDay, last: bool) -> Option<DateTime<Utc>> {
        let midnight = NaiveDateTime::new(day, NaiveTime::MIN);
        (clock.0..=clock.0 + DAY).find_map(|minutes| {
            let shown = midnight + TimeDelta::minutes(minutes.into());
            match self.zone.from_local_datetime(&shown) {
                MappedLocalTime::Single(at) => Some(at.to_utc()),
                MappedLocalTime::Ambiguous(first, second) => {
                    Some(if last { second } else { first }.to_utc())
                }
                MappedLocalTime::None => None,
            }
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const WEEK: [Weekday; 7] = [
        Weekday::Mon,
        Weekday::Tue,
        Weekday::Wed,
        Weekday::Thu,
        Weekday::Fri,
        Weekday::Sat,
        Weekday::Sun,
    ];

    fn window(days: &[Weekday], from: &str, to: &str, zone: &str) -> Window {
        let clock = |text| TimeOfDay::parse(text).unwrap();
        Window {
            days: days.to_vec(),
            from: clock(from),
            to: clock(to),
            zone: zone.parse().unwrap(),
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn time_that_does_not_fit_continues_in_the_next_opening() {
        let office = window(&WEEK[..5], "09:00", "17:30", "Asia/Kuala_Lumpur"); // UTC+8
        #[rustfmt::skip]
        let table = [
            // from, seconds of open time, then
            ("2026-11-24T01:00:00Z", 0, "2026-11-24T01:00:00Z"),          // Tuesday, 9:00
            ("2026-11-24T00:59:59Z", 0, "2026-11-24T01:00:00Z"),
            ("2026-11-24T09:29:59Z", 0, "2026-11-24T09:29:59Z"),
            ("2026-11-24T09:30:00Z", 0, "2026-11-25T01:00:00Z"),          // closed to the second
            ("2026-11-24T09:29:59Z", 1, "2026-11-25T01:00:00Z"),
            ("2026-11-27T12:00:00Z", 0, "2026-11-30T01:00:00Z"),          // Friday evening: Monday
            ("2026-11-26T09:00:00Z", 30_600, "2026-11-27T09:00:00Z"),     // a whole day of eight and a half hours
            ("2026-11-27T09:00:00Z", 30_600 + 60, "2026-11-30T09:01:00Z"),
        ];
        for (from, seconds, then) in table {
            assert_eq!(
                office.after(at(from), TimeDelta::seconds(seconds)),
                at(then),
                "{from} + {seconds}"
            );
        }
        for (now, closes) in [
            ("2026-11-24T09:29:59Z", "2026-11-24T09:30:00Z"),
            ("2026-11-24T09:30:00Z", "2026-11-25T09:30:00Z"),
            ("2026-11-28T00:00:00Z", "2026-11-30T09:30:00Z"),
        ] {
            assert_eq!(office.next_close(at(now)), Some(at(closes)), "{now}");
        }
    }

    #[test]
    fn windows_follow_local_times_when_clocks_change() {
        // Berlin: on March 29, 02:00 is followed by 03:00; on October 25, 03:00 is followed by
        // 02:00.
        let day = window(&WEEK, "00:00", "24:00", "Europe/Berlin");
        assert_eq!(
            day.on(NaiveDate::from_ymd_opt(2026, 3, 29).unwrap())
                .map(|(opens, closes)| (closes - opens).num_hours()),
            Some(23)
        );
        assert_eq!(
            day.on(NaiveDate::from_ymd_opt(2026, 10, 25).unwrap())
                .map(|(opens, closes)| (closes - opens).num_hours()),
            Some(25)
        );
        assert!(day.is_open(at("2026-10-25T00:30:00Z")) && day.is_open(at("2026-03-29T23:59:59Z")));
        let night = window(&WEEK, "02:00", "02:30", "Europe/Berlin");
        // The hour does not exist, so there is no window on that day.
        assert_eq!(
            night.next_open(at("2026-03-29T00:00:00Z")),
            at("2026-03-30T00:00:00Z")
        );
        // The hour occurs twice: open from the first 02:00 to the second 02:30.
        assert_eq!(
            night.next_open(at("2026-10-24T23:00:00Z")),
            at("2026-10-25T00:00:00Z")
        );
        assert_eq!(
            night.after(at("2026-10-25T00:00:00Z"), TimeDelta::minutes(90)),
            at("2026-10-26T01:00:00Z")
        );
        let late = window(&WEEK, "01:30", "03:30", "Europe/Berlin");
        assert_eq!(
            late.on(NaiveDate::from_ymd_opt(2026, 3, 29).unwrap()),
            Some((at("2026-03-29T00:30:00Z"), at("2026-03-29T01:30:00Z")))
        );
        // 02:30 does not occur: the window opens at 03:00.
        let half = window(&WEEK, "02:30", "04:00", "Europe/Berlin");
        assert_eq!(
            half.on(NaiveDate::from_ymd_opt(2026, 3, 29).unwrap()),
            Some((at("2026-03-29T01:00:00Z"), at("2026-03-29T02:00:00Z")))
        );
    }

    #[test]
    fn a_time_of_day_is_read_as_it_is_written() {
        for good in ["00:00", "09:30", "23:59", "24:00"] {
            assert_eq!(String::from(TimeOfDay::parse(good).unwrap()), good);
        }
        for bad in [
            "", "9:30", "09:60", "24:01", "25:00", "+9:30", "09:3", "0930", "09:30:00", " 9:30",
            "-1:30",
        ] {
            assert_eq!(TimeOfDay::parse(bad), None, "{bad}");
        }
    }

    proptest! {
        /// In each zone, at any time: `is_open` and `next_open` agree, a planned time is inside the
        /// window, and more open time leads to a later time.
        #[test]
        fn planned_times_are_inside_the_window(
            zone in proptest::sample::select(&chrono_tz::TZ_VARIANTS[..]), days in proptest::sample::subsequence(&WEEK[..], 1..=7),
            (from, length) in (0_u16..1_439).prop_flat_map(|from| (Just(from), 1..=1_440 - from)),
            start in 1_700_000_000_i64..1_900_000_000, open_s in 0_i64..500_000,
        ) {
            let window = Window { days, from: TimeOfDay(from), to: TimeOfDay(from + length), zone };
            let start = DateTime::from_timestamp(start, 0).unwrap();
            let next = window.next_open(start);
            prop_assert!(next >= start && window.is_open(next));
            prop_assert_eq!(window.is_open(start), next == start);
            let planned = window.after(start, TimeDelta::seconds(open_s));
            prop_assert!(window.is_open(planned) && planned >= next + TimeDelta::seconds(open_s));
            prop_assert!(window.after(start, TimeDelta::seconds(open_s + 1)) > planned);
            let column = serde_json::to_string(&window).unwrap();
            prop_assert!(column.len() <= 255);
            prop_assert_eq!(Window::of(Some(&column)), Some(window));
        }
    }
}
