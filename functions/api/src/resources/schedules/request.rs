//! The body of `POST /v1/schedules`, read field by field. The error names every wrong field.

use std::ops::RangeInclusive;

use axum::body::Bytes;
use chrono::{DateTime, Utc};
use serde_json::{Value, json};
use shared::{
    events::target::AllowedTargets,
    message::{
        phone::Region,
        template::{MAX_TEMPLATE, Template},
        text::{MAX_PARTS, parts},
    },
    schedule::{on_uncertain::OnUncertain, status::ScheduleStatus, unique_by::UniqueBy},
};
use uuid::Uuid;

use crate::{
    http::{
        error::{ApiError, FieldError},
        fields::Fields,
    },
    lists::{
        doc::{
            column_schema, country_schema, entries_schema, on_duplicate_field_schema,
            types_field_schema, unique_by_schema,
        },
        options::{ListDefaults, NumberTypes, OnDuplicate, OnInvalid, is_column},
        request::{COLUMN, COUNTRY},
    },
    openapi::operation::{object, one_of_these, or_null},
    resources::{
        schedules::{
            callback, canary,
            end::{EndFields, SendEnd, send_until_schema, send_within_schema},
            names::{self, Names},
            priority,
            run_at::{run_at, run_at_schema},
            store::NewSchedule,
            window,
        },
        senders::field as sender,
    },
};

/// Messages per second.
pub const RATE: RangeInclusive<u32> = 1..=10_000;
/// How often a message may be tried.
pub const MAX_ATTEMPTS: RangeInclusive<u32> = 1..=10;
/// From a minute to a day.
pub const MAX_LATENESS_S: RangeInclusive<u32> = 60..=86_400;
/// At most an hour less than the day for which the carrier remembers messages, because a message
/// has to be queried until its end.
pub const RESEND_WITHIN_S: RangeInclusive<u32> = 0..=82_800;
const DEFAULT_MAX_ATTEMPTS: u32 = 3;
const DEFAULT_MAX_LATENESS_S: u32 = 3_600;
const DEFAULT_RESEND_WITHIN_S: u32 = 21_600;
/// The policies for messages whose answer was lost. The first is the default.
pub const ON_UNCERTAIN: [&str; 2] = [OnUncertain::Hold.as_str(), OnUncertain::Resend.as_str()];
/// What no two recipients of a schedule have in common. The first is the default.
pub const UNIQUE_BY: [&str; 2] = [UniqueBy::Phone.as_str(), UniqueBy::Reference.as_str()];

/// A body.
#[derive(Debug)]
pub struct CreateRequest {
    /// The row; `None` if a field is wrong.
    pub schedule: Option<NewSchedule>,
    /// The wrong fields.
    pub errors: Vec<FieldError>,
    /// The JSON array of recipients, a part of the body, unread.
    pub recipients: Option<Bytes>,
    /// The effect of invalid entries on the list.
    pub on_invalid: OnInvalid,
    /// The effect of duplicates on the list.
    pub on_duplicate: OnDuplicate,
    /// The country of numbers without a country code.
    pub region: Option<Region>,
    /// Its two letters, as they were given.
    pub country: Option<String>,
    /// The kinds of numbers that are accepted.
    pub types: Option<NumberTypes>,
    /// The URL to which the events of the schedule are posted too.
    pub callback_url: Option<String>,
}

impl CreateRequest {
    /// Reads a body. Fails only if it is no JSON object; wrong fields are collected.
    pub fn read(
        body: &Bytes,
        targets: AllowedTargets,
        now: DateTime<Utc>,
    ) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let draft = fields.read_as("draft", "true or false").unwrap_or(false);
        let recipients = recipients(&mut fields, draft);
        let is_on_invalid_given = !fields.is_absent("on_invalid");
        let on_invalid = fields
            .choice("on_invalid", &OnInvalid::ALL, OnInvalid::as_str)
            .unwrap_or_default();
        let (country, region) = region(&mut fields).unzip();
        let on_duplicate = fields.choice("on_duplicate", &OnDuplicate::ALL, OnDuplicate::as_str);
        let types = fields.choice("types", &NumberTypes::ALL, NumberTypes::as_str);
        let callback_url = callback::read(&mut fields, targets);
        let list_defaults = ListDefaults {
            default_country: country.clone(),
            column: column(&mut fields, "column"),
            reference_column: column(&mut fields, "reference_column"),
            group_column: column(&mut fields, "group_column"),
            on_invalid: Some(on_invalid).filter(|_| is_on_invalid_given),
            on_duplicate,
            types,
        };
        let schedule = schedule(&mut fields, draft, now).map(|schedule| NewSchedule {
            list_defaults: list_defaults.to_column(),
            ..schedule
        });
        let errors = fields.finish();
        let recipients = recipients.map(|list| body.slice_ref(list.as_bytes()));
        Ok(Self {
            schedule: schedule.filter(|_| errors.is_empty()),
            errors,
            recipients,
            on_invalid,
            on_duplicate: on_duplicate.unwrap_or_default(),
            region,
            country,
            types,
            callback_url,
        })
    }
}

/// Reads the country of national numbers: its letters, and what they stand for.
fn region(fields: &mut Fields) -> Option<(String, Region)> {
    let given = fields.text("default_country")?;
    let region = Region::parse(&given);
    if region.is_none() {
        fields.complain("default_country", "not-a-country", COUNTRY);
    }
    Some((given, region?))
}

/// Reads a column of the lists that are appended later.
fn column(fields: &mut Fields, name: &'static str) -> Option<String> {
    let given = fields.text(name)?;
    if !is_column(&given) {
        fields.complain(name, "not-a-column", COLUMN);
    }
    Some(given.trim().to_owned())
}

fn schedule(fields: &mut Fields, draft: bool, now: DateTime<Utc>) -> Option<NewSchedule> {
    let run_at = run_at(fields, now);
    let message = message(fields);
    let sender = sender::read(fields);
    let rate = fields.number("rate", RATE);
    let chosen_priority = priority::read(fields);
    let send_window = window::read(fields);
    let max_attempts = fields
        .number("max_attempts", MAX_ATTEMPTS)
        .unwrap_or(DEFAULT_MAX_ATTEMPTS);
    let max_lateness_s = fields
        .number("max_lateness_s", MAX_LATENESS_S)
        .unwrap_or(DEFAULT_MAX_LATENESS_S);
    let resend_within_s = fields
        .number("resend_within_s", RESEND_WITHIN_S)
        .unwrap_or(DEFAULT_RESEND_WITHIN_S);
    let on_uncertain = fields
        .choice("on_uncertain", &OnUncertain::ALL, OnUncertain::as_str)
        .unwrap_or(OnUncertain::Hold);
    let unique_by = fields.choice("unique_by", &UniqueBy::ALL, UniqueBy::as_str);
    let canary = canary::read(fields);
    let end_fields = EndFields::read(fields);
    let names = Names::read(fields);
    let (run_at, (message, parts)) = (run_at?, message?);
    let end = end_fields.apply(SendEnd::default());
    if let Err(wrong) = end.check(run_at.at, send_window.as_deref(), now) {
        fields.complain(end.field(), wrong.code, wrong.detail);
    }
    Some(NewSchedule {
        id: Uuid::now_v7(),
        status: if draft {
            ScheduleStatus::Draft
        } else {
            ScheduleStatus::Scheduled
        },
        message,
        parts,
        sender,
        run_at: run_at.at,
        run_at_offset: run_at.offset,
        rate,
        priority: chosen_priority.unwrap_or_default(),
        auto_priority: chosen_priority.is_none(),
        send_window,
        max_lateness_s,
        end,
        max_resends: max_attempts - 1,
        resend_within_s,
        on_uncertain,
        list_defaults: None,
        unique_by: unique_by.unwrap_or_default(),
        canary,
        names,
        created_at: now,
        created_by: None,
    })
}

fn message(fields: &mut Fields) -> Option<(String, u16)> {
    let message = text(fields);
    fields.require("message", "a text that is more than white space");
    message
}

/// Reads the field `message`, if given, and its number of parts; 1 for a message with variables.
pub fn text(fields: &mut Fields) -> Option<(String, u16)> {
    let message = fields.text("message")?;
    if message.trim().is_empty() {
        fields.complain(
            "message",
            "empty",
            "expected a text that is more than white space",
        );
    }
    if message.contains(char::REPLACEMENT_CHARACTER) {
        let expected = "expected complete text: U+FFFD replaces characters that were lost before";
        fields.complain("message", "replacement-character", expected);
    }
    match Template::parse(&message) {
        // The number of parts is known when the numbers come, each with its variables.
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
        let why = counted
            .forced_by
            .map(|character| format!(", forced by the character {character:?}"))
            .unwrap_or_default();
        let detail = format!(
            "expected at most {MAX_PARTS} parts; this text takes {parts} in {encoding}{why}"
        );
        fields.complain("message", "too-long", detail);
    }
    Some((message, counted.parts as u16))
}

/// Returns the list unparsed. Its first character shows that it is an array, because the whole body
/// is valid JSON.
fn recipients<'a>(fields: &mut Fields<'a>, draft: bool) -> Option<&'a str> {
    const EXPECTED: &str =
        r#"expected an array of numbers, such as ["+60123456789", {"phone": "+60123456780"}]"#;
    let list = fields
        .raw("recipients")
        .map(serde_json::value::RawValue::get);
    let empty =
        list.is_some_and(|list| list.starts_with('[') && list[1..].trim_start().starts_with(']'));
    match list {
        Some(list) if !list.starts_with('[') => {
            fields.complain("recipients", "wrong-type", EXPECTED);
        }
        None if !draft => {
            fields.complain(
                "recipients",
                "missing",
                format!("{EXPECTED}, or \"draft\": true to append them later"),
            );
        }
        Some(_) if empty && !draft => {
            fields.complain(
                "recipients",
                "empty",
                format!("{EXPECTED}, or \"draft\": true to append them later"),
            );
        }
        _ => return list,
    }
    None
}

/// Returns the schema of the body that [`CreateRequest::read`] reads.
pub fn request_schema() -> Value {
    let mut fields = json!({
        "recipients": or_null(entries_schema(true)),
        "draft": {"type": ["boolean", "null"], "default": false, "description": "No message is sent before the schedule is activated."},
        "on_invalid": or_null(json!({"title": "OnInvalid", "type": "string", "enum": OnInvalid::ALL.map(OnInvalid::as_str), "default": "reject",
            "description": "`reject`: one invalid entry refuses the call; `skip`: entries that are no numbers are kept as INVALID."})),
        "on_duplicate": or_null(on_duplicate_field_schema()),
        "unique_by": or_null(unique_by_schema()),
        "default_country": or_null(country_schema()),
        "column": or_null(column_schema()),
        "reference_column": or_null(column_schema()),
        "group_column": or_null(column_schema()),
        "types": or_null(types_field_schema()),
        "callback_url": or_null(callback::schema()),
    });
    for (name, field) in names::schemas() {
        fields[name] = or_null(field);
    }
    for (name, field) in fields_schema() {
        let needed = ["run_at", "message"].contains(&name);
        fields[name] = if needed { field } else { or_null(field) };
    }
    let some = [
        ("recipients", json!({"type": "array"})),
        ("draft", json!({"const": true})),
    ];
    one_of_these(object(fields, &["run_at", "message"]), &some)
}

/// Returns the schemas of the fields that can also be changed later.
pub fn fields_schema() -> [(&'static str, Value); 13] {
    [
        ("run_at", run_at_schema()),
        ("message", message_schema()),
        ("sender", sender::schema()),
        (
            "rate",
            number_schema(
                RATE,
                "Messages per second; null: as fast as the carrier accepts them.",
            ),
        ),
        ("priority", priority::schema()),
        ("window", window::schema()),
        ("canary", canary::schema()),
        ("send_until", send_until_schema()),
        ("send_within_s", send_within_schema()),
        (
            "max_attempts",
            with_default(
                number_schema(
                    MAX_ATTEMPTS,
                    "How often a message that ends UNDELIV or EXPIRED is tried.",
                ),
                DEFAULT_MAX_ATTEMPTS,
            ),
        ),
        (
            "max_lateness_s",
            with_default(
                number_schema(
                    MAX_LATENESS_S,
                    "A message that is found later than this waits for an operator.",
                ),
                DEFAULT_MAX_LATENESS_S,
            ),
        ),
        (
            "resend_within_s",
            with_default(
                number_schema(
                    RESEND_WITHIN_S,
                    "No resend later than this after the planned time.",
                ),
                DEFAULT_RESEND_WITHIN_S,
            ),
        ),
        ("on_uncertain", on_uncertain_schema()),
    ]
}

fn message_schema() -> Value {
    let description = format!(
        "At most {MAX_PARTS} parts. With `{{{{name}}}}` in it, each recipient gets a text of its own; then at most {MAX_TEMPLATE} bytes before rendering."
    );
    json!({"type": "string", "minLength": 1, "maxLength": MAX_TEMPLATE, "pattern": r"\S", "description": description})
}

fn on_uncertain_schema() -> Value {
    json!({"title": "OnUncertain", "type": "string", "enum": ON_UNCERTAIN, "default": ON_UNCERTAIN[0],
        "description": "A message whose answer was lost waits for an operator, or is sent again after a quiet time."})
}

/// Returns the schema of a whole number.
pub fn number_schema(range: RangeInclusive<u32>, description: &str) -> Value {
    json!({"type": "integer", "minimum": range.start(), "maximum": range.end(), "description": description})
}

fn with_default(mut schema: Value, default: u32) -> Value {
    schema["default"] = json!(default);
    schema
}
