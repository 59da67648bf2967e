//! The field `run_at`, and times in general.

use chrono::{DateTime, FixedOffset, NaiveDateTime, TimeDelta, Utc};
use serde_json::{Value, json};

use crate::http::fields::Fields;

/// A time further ahead is taken for a typing error in the year.
const MAX_AHEAD: TimeDelta = TimeDelta::days(365);

/// A time, and the offset from UTC with which it was given.
#[derive(Clone, Debug)]
pub struct Moment {
    /// In whole milliseconds, as the column holds them; a leap second becomes the one after it.
    pub at: DateTime<Utc>,
    /// Such as `+08:00`.
    pub offset: String,
}

const TIME: &str =
    "expected a time with an offset from UTC (RFC 3339), such as 2030-01-31T09:00:00+08:00";

/// Reads the field `run_at`: required, in the future, not too far ahead.
pub fn run_at(fields: &mut Fields, now: DateTime<Utc>) -> Option<Moment> {
    let moment = moment(fields, now);
    fields.require("run_at", TIME);
    moment
}

/// Reads the field `run_at`, if given.
pub fn moment(fields: &mut Fields, now: DateTime<Utc>) -> Option<Moment> {
    let run_at = time(fields, "run_at")?;
    if run_at <= now {
        let now = now.format("%FT%TZ");
        fields.complain(
            "run_at",
            "in-the-past",
            format!("expected a time in the future; it is {now} now"),
        );
    } else if run_at > now + MAX_AHEAD {
        fields.complain(
            "run_at",
            "too-far-ahead",
            format!("expected a time within {} days", MAX_AHEAD.num_days()),
        );
    }
    Some(Moment {
        at: in_milliseconds(run_at)?,
        offset: run_at.offset().to_string(),
    })
}

/// Reads a time with an offset from UTC, if given.
pub fn time(fields: &mut Fields, name: &'static str) -> Option<DateTime<FixedOffset>> {
    let given = fields.raw(name)?;
    let given: String = serde_json::from_str(given.get()).unwrap_or_default();
    let Ok(time) = DateTime::parse_from_rfc3339(&given) else {
        let zoneless = given.parse::<NaiveDateTime>().is_ok();
        let (code, why) = if zoneless {
            ("no-offset", "the offset is missing; ")
        } else {
            ("not-a-time", "")
        };
        fields.complain(name, code, format!("{why}{TIME}"));
        return None;
    };
    Some(time)
}

/// Returns a time in whole milliseconds, as the columns hold it.
pub fn in_milliseconds(time: DateTime<FixedOffset>) -> Option<DateTime<Utc>> {
    DateTime::from_timestamp_millis(time.timestamp_millis())
}

/// Returns the schema of the field.
pub fn run_at_schema() -> Value {
    let days = MAX_AHEAD.num_days();
    json!({"type": "string", "format": "date-time",
        "description": format!("A time in the future, within {days} days, with an offset from UTC.")})
}
