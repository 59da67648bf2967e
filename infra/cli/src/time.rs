//! Times as people give them.

use chrono::{DateTime, TimeDelta, Utc};

/// Time for the upload of a list that is to be sent now.
const UPLOAD_S: i64 = 30;

/// When something is sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum At {
    /// As soon as the list is uploaded.
    Now,
    /// This long after the command began.
    In(TimeDelta),
    /// At this time.
    Time(DateTime<Utc>),
}

impl At {
    /// Returns the time for a command that began at `now`.
    pub fn time(self, now: DateTime<Utc>) -> DateTime<Utc> {
        match self {
            Self::Now => now + TimeDelta::seconds(UPLOAD_S),
            Self::In(delta) => now + delta,
            Self::Time(time) => time,
        }
    }
}

/// Reads `now`, `+15m` or a time with an offset.
pub fn parse(given: &str) -> Result<At, String> {
    let expected = || {
        "expected now, +90s, +15m, +2h, +1d, or a time with an offset from UTC, such as \
         2030-01-01T09:00:00+08:00"
            .to_owned()
    };
    if given == "now" {
        return Ok(At::Now);
    }
    let Some(delta) = given.strip_prefix('+') else {
        let time = DateTime::parse_from_rfc3339(given).map_err(|_| expected())?;
        return Ok(At::Time(time.to_utc()));
    };
    let unit = delta.chars().last().ok_or_else(expected)?;
    let seconds = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3_600,
        'd' => 86_400,
        _ => return Err(expected()),
    };
    let count: u32 = delta[..delta.len() - 1].parse().map_err(|_| expected())?;
    Ok(At::In(TimeDelta::seconds(i64::from(count) * seconds)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_read_in_each_form() {
        let table = [
            ("now", Some(At::Now)),
            ("+90s", Some(At::In(TimeDelta::seconds(90)))),
            ("+2h", Some(At::In(TimeDelta::hours(2)))),
            (
                "1970-01-01T08:00:00+08:00",
                Some(At::Time(DateTime::UNIX_EPOCH)),
            ),
            ("+", None),
            ("+h", None),
            ("+2w", None),
            ("+2ü", None),
            ("+-1h", None),
            ("2030-01-01T09:00:00", None),
            ("tomorrow", None),
        ];
        for (given, expected) in table {
            assert_eq!(parse(given).ok(), expected, "{given}");
        }
    }
}
