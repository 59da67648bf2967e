//! The end of a schedule, after which nothing is sent any more: the fields `send_until` (a time) and
//! `send_within_s` (seconds after `run_at`), of which a schedule has at most one.

use std::ops::RangeInclusive;

use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::message::window::Window;

use crate::{
    http::fields::Fields,
    resources::schedules::{
        request::number_schema,
        run_at::{in_milliseconds, time},
    },
};

/// From a minute to a year.
pub const SEND_WITHIN_S: RangeInclusive<u32> = 60..=31_536_000;

/// The end of a schedule, as the columns hold it. At most one of the two is set.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SendEnd {
    /// The time itself.
    pub until: Option<DateTime<Utc>>,
    /// Seconds after `run_at`.
    pub within_s: Option<u32>,
}

/// Why an end is refused.
#[derive(Debug, PartialEq, Eq)]
pub struct WrongEnd {
    /// The code of the error.
    pub code: &'static str,
    /// The text of the error.
    pub detail: String,
}

impl SendEnd {
    /// Returns the end of a schedule that is planned for `run_at`.
    pub fn at(self, run_at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let within = |seconds: u32| run_at + TimeDelta::seconds(seconds.into());
        self.until.or(self.within_s.map(within))
    }

    /// Returns the field that sets it.
    pub const fn field(self) -> &'static str {
        match self.within_s {
            Some(_) => "send_within_s",
            None => "send_until",
        }
    }

    /// Returns an error if nothing could be sent before the end, or if it is so far ahead that it is
    /// taken for a typing error.
    pub fn check(
        self,
        run_at: DateTime<Utc>,
        send_window: Option<&str>,
        now: DateTime<Utc>,
    ) -> Result<(), WrongEnd> {
        let wrong = |code, detail| Err(WrongEnd { code, detail });
        let Some(end) = self.at(run_at) else {
            return Ok(());
        };
        if end <= run_at {
            let run_at = run_at.format("%FT%T%.3fZ");
            return wrong(
                "not-after-run-at",
                format!("expected an end after run_at, which is {run_at}"),
            );
        }
        if end <= now {
            let now = now.format("%FT%TZ");
            return wrong(
                "in-the-past",
                format!("expected an end in the future; it is {now} now"),
            );
        }
        let most = TimeDelta::seconds((*SEND_WITHIN_S.end()).into());
        if end > run_at + most {
            return wrong(
                "too-far-ahead",
                format!(
                    "expected an end within {} days after run_at",
                    most.num_days()
                ),
            );
        }
        let opens = Window::of(send_window).map(|window| window.next_open(run_at.max(now)));
        if let Some(opens) = opens.filter(|opens| *opens >= end) {
            let opens = opens.format("%FT%TZ");
            return wrong(
                "window-closed",
                format!("expected an end after the window opens, which is at {opens}"),
            );
        }
        Ok(())
    }
}

/// The fields `send_until` and `send_within_s` of a body: `None` if a field is not given.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(
    clippy::option_option,
    reason = "null removes the end, which differs from leaving it out"
)]
pub struct EndFields {
    until: Option<Option<DateTime<Utc>>>,
    within_s: Option<Option<u32>>,
}

impl EndFields {
    /// Reads both fields. Both with a value are an error.
    pub fn read(fields: &mut Fields) -> Self {
        let read = Self {
            until: fields.nullable("send_until", |fields| {
                time(fields, "send_until").and_then(in_milliseconds)
            }),
            within_s: fields.nullable("send_within_s", |fields| {
                fields.number("send_within_s", SEND_WITHIN_S)
            }),
        };
        if let (Some(Some(_)), Some(Some(_))) = (read.until, read.within_s) {
            fields.complain(
                "send_within_s",
                "not-both",
                "expected send_until or send_within_s, not both",
            );
            return Self::default();
        }
        read
    }

    /// Returns whether a field is given, or null.
    pub const fn is_given(self) -> bool {
        self.until.is_some() || self.within_s.is_some()
    }

    /// Returns the end of a schedule that had the end `before`. A given field replaces it; null
    /// removes it, whichever of the two has set it, because answers show it as `send_until` in both
    /// cases.
    pub fn apply(self, before: SendEnd) -> SendEnd {
        if self.is_given() {
            SendEnd {
                until: self.until.flatten(),
                within_s: self.within_s.flatten(),
            }
        } else {
            before
        }
    }
}

/// Returns the schema of `send_until`.
pub fn send_until_schema() -> Value {
    json!({"type": "string", "format": "date-time",
        "description": "The hard end: what has not been sent by then ends EXPIRED and is never sent. A time after `run_at`, with an offset from UTC. \
            Instead of `send_within_s`."})
}

/// Returns the schema of `send_within_s`.
pub fn send_within_schema() -> Value {
    number_schema(
        SEND_WITHIN_S,
        "The hard end as seconds after `run_at`. Instead of `send_until`.",
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    #[test]
    fn an_end_before_which_nothing_could_be_sent_is_refused() {
        let (now, run_at) = (at("2026-12-01T00:00:00Z"), at("2026-12-01T12:00:00Z"));
        let window = r#"{"days":["Mon","Tue","Wed"],"from":"09:00","to":"11:00","zone":"UTC"}"#;
        let until = |text| SendEnd {
            until: Some(at(text)),
            within_s: None,
        };
        let within = |seconds| SendEnd {
            until: None,
            within_s: Some(seconds),
        };
        for (end, window, expected) in [
            (SendEnd::default(), None, None),
            (
                until("2026-12-01T12:00:00Z"),
                None,
                Some("not-after-run-at"),
            ),
            (until("2026-12-01T12:00:01Z"), None, None),
            (within(60), None, None),
            (until("2027-12-01T12:00:00Z"), None, None),
            (until("2027-12-01T12:00:01Z"), None, Some("too-far-ahead")),
            (within(21 * 3_600), Some(window), Some("window-closed")),
            (within(21 * 3_600 + 1), Some(window), None),
        ] {
            let found = end.check(run_at, window, now).err().map(|wrong| wrong.code);
            assert_eq!(found, expected, "{end:?} {window:?}");
        }
        let late = at("2026-12-01T13:00:00Z");
        let passed = within(3_600).check(run_at, None, late);
        assert_eq!(passed.err().map(|wrong| wrong.code), Some("in-the-past"));
    }

    #[test]
    fn a_given_end_replaces_the_other_and_null_removes_it() {
        let before = SendEnd {
            until: None,
            within_s: Some(60),
        };
        for (body, expected) in [
            ("{}", before),
            (r#"{"send_until": null}"#, SendEnd::default()),
            (r#"{"send_within_s": null}"#, SendEnd::default()),
            (
                r#"{"send_until": null, "send_within_s": 90}"#,
                SendEnd {
                    until: None,
                    within_s: Some(90),
                },
            ),
            (
                r#"{"send_until": "2026-12-01T12:00:00.0009+08:00"}"#,
                SendEnd {
                    until: Some(at("2026-12-01T04:00:00Z")),
                    within_s: None,
                },
            ),
        ] {
            let mut fields = Fields::read(body.as_bytes()).unwrap();
            assert_eq!(
                EndFields::read(&mut fields).apply(before),
                expected,
                "{body}"
            );
            assert!(fields.finish().is_empty(), "{body}");
        }
    }
}
