//! The field `window`: the hours in which a schedule may send.

use chrono::Weekday;
use serde_json::{Value, json};
use shared::message::window::{TIME_OF_DAY, TimeOfDay, Window};

use crate::{http::fields::Fields, openapi::operation::object};

const EXPECTED: &str = r#"an object such as {"days": ["Mon", "Tue"], "from": "09:00", "to": "20:00", "zone": "Asia/Kuala_Lumpur"}"#;
const ZONE: &str = "an IANA time zone such as Asia/Kuala_Lumpur";
/// The days in order, beginning with Monday.
const WEEK: [Weekday; 7] = [
    Weekday::Mon,
    Weekday::Tue,
    Weekday::Wed,
    Weekday::Thu,
    Weekday::Fri,
    Weekday::Sat,
    Weekday::Sun,
];

/// Reads the field, if given, as its column holds it. Every wrong member becomes an error.
pub fn read(fields: &mut Fields) -> Option<String> {
    let given = fields.raw("window")?;
    let Ok(mut members) = Fields::read(given.get().as_bytes()) else {
        fields.complain("window", "wrong-type", format!("expected {EXPECTED}"));
        return None;
    };
    let window = members_of(&mut members);
    let errors = members.finish();
    let is_valid = errors.is_empty();
    for error in errors {
        fields.complain(&format!("window.{}", error.field), error.code, error.detail);
    }
    window
        .filter(|_| is_valid)
        .and_then(|window| serde_json::to_string(&window).ok())
}

fn members_of(members: &mut Fields) -> Option<Window> {
    let days = days(members);
    let from = clock(members, "from");
    let to = clock(members, "to");
    if from.zip(to).is_some_and(|(from, to)| to <= from) {
        members.complain(
            "to",
            "not-later",
            "expected a later time than `from`: a window closes on the day on which it opens, at 24:00 at the latest",
        );
    }
    let zone = members.text("zone").map(|name| name.parse());
    if let Some(Err(_)) = zone {
        members.complain("zone", "not-a-zone", format!("expected {ZONE}"));
    }
    members.require("zone", ZONE);
    Some(Window {
        days: days?,
        from: from?,
        to: to?,
        zone: zone?.ok()?,
    })
}

/// Reads the days; all of them if the field is left out.
fn days(members: &mut Fields) -> Option<Vec<Weekday>> {
    const DAYS: &str = "days of the week, at least one of Mon, Tue, Wed, Thu, Fri, Sat, Sun";
    if members.is_absent("days") {
        // A null has to be read too, or it would be reported as an unknown field.
        members.raw("days");
        return Some(WEEK.to_vec());
    }
    let given: Vec<String> = members.read_as("days", DAYS)?;
    let of_name = |name: &String| WEEK.into_iter().find(|day| day.to_string() == *name);
    let read: Option<Vec<Weekday>> = given.iter().map(of_name).collect();
    match read {
        Some(read) if !read.is_empty() => {
            Some(WEEK.into_iter().filter(|day| read.contains(day)).collect())
        }
        _ => {
            members.complain("days", "not-days", format!("expected {DAYS}"));
            None
        }
    }
}

fn clock(members: &mut Fields, name: &'static str) -> Option<TimeOfDay> {
    const TIME: &str = "a time of day from 00:00 to 24:00, such as 09:30";
    let given = members.text(name);
    let clock = given.as_deref().and_then(TimeOfDay::parse);
    if given.is_some() && clock.is_none() {
        members.complain(name, "not-a-time", format!("expected {TIME}"));
    }
    members.require(name, TIME);
    clock
}

/// Returns the schema of the field that [`read`] reads.
pub fn schema() -> Value {
    let clock = json!({"type": "string", "pattern": TIME_OF_DAY});
    let days = WEEK.map(|day| day.to_string());
    let members = json!({
        "days": {"type": ["array", "null"], "minItems": 1, "items": {"title": "Weekday", "type": "string", "enum": days}, "description": "Default: all."},
        "from": clock,
        "to": {"type": "string", "pattern": TIME_OF_DAY, "description": "Later than `from`, on the same day; `24:00` at the latest."},
        "zone": {"type": "string", "description": "An IANA time zone, such as `Asia/Kuala_Lumpur`."},
    });
    let mut schema = object(members, &["from", "to", "zone"]);
    schema["title"] = json!("NewWindow");
    schema["description"] = json!("No message is sent outside of these hours; null: at any hour.");
    schema
}
