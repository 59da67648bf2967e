//! The address of a recipient: how a path or an entry of a body names it.

use serde_json::{Value, json};
use shared::message::phone::Phone;

use crate::{
    http::{error::ApiError, fields::Fields},
    openapi::{
        operation::{object, or_null},
        parameters::e164,
    },
};

/// How a call names a recipient.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Address {
    /// By its place in the list.
    Seq(u32),
    /// By its number.
    Phone(Phone),
}

impl Address {
    /// Reads the last part of a path.
    pub fn of_path(part: &str) -> Result<Self, ApiError> {
        part.parse().map(Self::Seq).map_err(|_| no_such_recipient())
    }

    /// Reads the address from the fields of an entry, exactly one of `seq` and `phone`. An error is
    /// recorded in `fields`.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let seq = fields.number("seq", 1..=u32::MAX);
        let phone = fields.text("phone").and_then(|given| {
            let parsed = Phone::parse(&given);
            parsed
                .map_err(|error| fields.complain("phone", error.code(), error.to_string()))
                .ok()
        });
        match (seq, phone) {
            (Some(seq), None) => Some(Self::Seq(seq)),
            (None, Some(phone)) => Some(Self::Phone(phone)),
            (Some(_), Some(_)) => {
                fields.complain("", "one-of", "expected either seq or phone");
                None
            }
            (None, None) => {
                if fields.is_faultless() {
                    fields.complain("", "missing", "expected seq or phone");
                }
                None
            }
        }
    }
}

/// Returns the error for a recipient that is not in the schedule.
pub fn no_such_recipient() -> ApiError {
    ApiError::NotFound("there is no recipient at this place".to_owned())
}

/// Returns the schema of an entry with an address, and with these other members.
pub fn entry_schema(mut members: Value, required: &[&str]) -> Value {
    let seq = json!({"type": "integer", "minimum": 1, "maximum": u32::MAX});
    members["seq"] = or_null(seq.clone());
    members["phone"] = or_null(e164());
    let by = |name: &str, schema: Value, other: &str| json!({"required": [name], "properties": {name: schema, other: {"type": "null"}}});
    let mut entry = object(members, required);
    entry["oneOf"] = json!([by("seq", seq, "phone"), by("phone", e164(), "seq")]);
    entry["description"] = json!("A recipient, by its place in the list or by its number.");
    entry
}
