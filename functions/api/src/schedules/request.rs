//! What a client may say about a schedule: read from the body field by field, every wrong one told at once.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};
use shared::{
    db::schedules::{NewSchedule, ScheduleStatus},
    phone::Region,
    template::Template,
    text::{MAX_PARTS, parts},
};
use uuid::Uuid;

use super::window;
use crate::{
    error::{ApiError, FieldError},
    fields::Fields,
    intake::body::COUNTRY,
    load::OnInvalid,
};

/// Further ahead than this is a typing error in the year.
const MAX_AHEAD: TimeDelta = TimeDelta::days(365);
/// Messages a second.
pub const RATE: RangeInclusive<u32> = 1..=10_000;
/// How often a message may be tried.
pub const MAX_ATTEMPTS: RangeInclusive<u32> = 1..=10;
/// From a minute to a day.
pub const MAX_LATENESS_S: RangeInclusive<u32> = 60..=86_400;
/// An hour under the carrier's memory of a day: a message has to be asked for to its end.
pub const RESEND_WITHIN_S: RangeInclusive<u32> = 0..=82_800;
/// What becomes of a message whose answer was lost.
pub const ON_UNCERTAIN: [&str; 2] = ["hold", "resend"];

/// What a body says.
#[derive(Debug)]
pub struct CreateRequest {
    /// The row; none if a field is wrong.
    pub schedule: Option<NewSchedule>,
    /// The wrong fields.
    pub errors: Vec<FieldError>,
    /// The JSON array of recipients, a part of the body, unread.
    pub recipients: Option<Bytes>,
    /// What becomes of the list when entries are invalid.
    pub on_invalid: OnInvalid,
    /// Where numbers without a country code are dialled.
    pub region: Option<Region>,
}

impl CreateRequest {
    /// Reads a body. Only what is no JSON object fails; wrong fields are collected.
    pub fn read(body: &Bytes, now: DateTime<Utc>) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let draft = fields.read_as("draft", "true or false").unwrap_or(false);
        let recipients = recipients(&mut fields, draft);
        let on_invalid = fields.choice("on_invalid", &OnInvalid::ALL, OnInvalid::as_str).unwrap_or_default();
        let region = region(&mut fields);
        let schedule = schedule(&mut fields, draft, now);
        let errors = fields.finish();
        let recipients = recipients.map(|list| body.slice_ref(list.as_bytes()));
        Ok(Self { schedule: schedule.filter(|_| errors.is_empty()), errors, recipients, on_invalid, region })
    }
}

fn region(fields: &mut Fields) -> Option<Region> {
    let given = fields.text("default_country")?;
    let region = Region::parse(&given);
    if region.is_none() {
        fields.complain("default_country", "not-a-country", COUNTRY);
    }
    region
}

fn schedule(fields: &mut Fields, draft: bool, now: DateTime<Utc>) -> Option<NewSchedule> {
    let run_at = run_at(fields, now);
    let message = message(fields);
    let sender = sender(fields);
    let rate = fields.number("rate", RATE);
    let send_window = window::read(fields);
    let max_attempts = fields.number("max_attempts", MAX_ATTEMPTS).unwrap_or(3);
    let max_lateness_s = fields.number("max_lateness_s", MAX_LATENESS_S).unwrap_or(3_600);
    let resend_within_s = fields.number("resend_within_s", RESEND_WITHIN_S).unwrap_or(21_600);
    let on_uncertain = fields.choice("on_uncertain", &ON_UNCERTAIN, |word| word).unwrap_or("hold");
    let (run_at, (message, parts)) = (run_at?, message?);
    Some(NewSchedule {
        id: Uuid::now_v7(),
        status: if draft { ScheduleStatus::Draft } else { ScheduleStatus::Scheduled },
        message,
        parts,
        sender,
        run_at: run_at.at,
        run_at_offset: run_at.offset,
        rate,
        send_window,
        max_lateness_s,
        max_resends: max_attempts - 1,
        resend_within_s,
        on_uncertain,
        created_at: now,
        created_by: None,
    })
}

/// A time, and how far from UTC the clock of whoever gave it is.
#[derive(Clone, Debug)]
pub struct Moment {
    /// In whole milliseconds, as the column holds them; a leap second becomes the one after it.
    pub at: DateTime<Utc>,
    /// Such as `+08:00`.
    pub offset: String,
}

const TIME: &str = "expected a time with an offset from UTC (RFC 3339), such as 2030-01-31T09:00:00+08:00";

/// The field `run_at`: required, to come, not too far ahead.
fn run_at(fields: &mut Fields, now: DateTime<Utc>) -> Option<Moment> {
    let moment = moment(fields, now);
    fields.require("run_at", TIME);
    moment
}

/// The field `run_at`, if given.
pub fn moment(fields: &mut Fields, now: DateTime<Utc>) -> Option<Moment> {
    let given = fields.raw("run_at")?;
    let given: String = serde_json::from_str(given.get()).unwrap_or_default();
    let Ok(run_at) = DateTime::parse_from_rfc3339(&given) else {
        let zoneless = given.parse::<NaiveDateTime>().is_ok();
        let (code, why) = if zoneless { ("no-offset", "the offset is missing; ") } else { ("not-a-time", "") };
        fields.complain("run_at", code, format!("{why}{TIME}"));
        return None;
    };
    if run_at <= now {
        let now = now.format("%FT%TZ");
        fields.complain("run_at", "in-the-past", format!("expected a time to come; it is {now} now"));
    } else if run_at > now + MAX_AHEAD {
        fields.complain("run_at", "too-far-ahead", format!("expected a time within {} days", MAX_AHEAD.num_days()));
    }
    let at = DateTime::from_timestamp_millis(run_at.timestamp_millis())?;
    Some(Moment { at, offset: run_at.offset().to_string() })
}

fn message(fields: &mut Fields) -> Option<(String, u16)> {
    let message = text(fields);
    fields.require("message", "a text that is more than white space");
    message
}

/// The field `message`, if given, and its parts; of one with variables, 1.
pub fn text(fields: &mut Fields) -> Option<(String, u16)> {
    let message = fields.text("message")?;
    if message.trim().is_empty() {
        fields.complain("message", "empty", "expected a text that is more than white space");
    }
    match Template::parse(&message) {
        // How many parts it takes is known when the numbers come, each with its variables.
        Ok(Some(_)) => return Some((message, 1)),
        Ok(None) => {}
        Err(error) => {
            fields.complain("message", error.code(), error.to_string());
            return Some((message, 1));
        }
    }
    let counted = parts(&message);
    if counted.parts > MAX_PARTS {
        let (encoding, parts) = (counted.encoding.as_str(), counted.parts);
        let why = counted.forced_by.map(|character| format!(", forced by the character {character:?}")).unwrap_or_default();
        let detail = format!("expected at most {MAX_PARTS} parts; this text takes {parts} in {encoding}{why}");
        fields.complain("message", "too-long", detail);
    }
    Some((message, counted.parts as u16))
}

/// As carriers take them: a name of the default alphabet's letters and digits, or a number.
pub fn sender(fields: &mut Fields) -> Option<String> {
    let sender = fields.text("sender")?;
    let number = sender.strip_prefix('+').unwrap_or(&sender);
    let number = (1..=15).contains(&number.len()) && number.bytes().all(|byte| byte.is_ascii_digit());
    let name = (1..=11).contains(&sender.len()) && sender.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b' ');
    if !number && (!name || sender.trim().len() < sender.len()) {
        fields.complain("sender", "not-a-sender", "expected up to 11 letters and digits, or a number of up to 15 digits");
    }
    Some(sender)
}

/// The list as it stands. That it is an array is seen by its first character: the body as a whole is JSON.
fn recipients<'a>(fields: &mut Fields<'a>, draft: bool) -> Option<&'a str> {
    const EXPECTED: &str = r#"expected an array of numbers, such as ["+60123456789", {"phone": "+60123456780"}]"#;
    let list = fields.raw("recipients").map(serde_json::value::RawValue::get);
    let empty = list.is_some_and(|list| list.starts_with('[') && list[1..].trim_start().starts_with(']'));
    match list {
        Some(list) if !list.starts_with('[') => fields.complain("recipients", "wrong-type", EXPECTED),
        None if !draft => {
            fields.complain("recipients", "missing", format!("{EXPECTED}, or \"draft\": true to append them later"));
        }
        Some(_) if empty && !draft => {
            fields.complain("recipients", "empty", format!("{EXPECTED}, or \"draft\": true to append them later"));
        }
        _ => return list,
    }
    None
}
