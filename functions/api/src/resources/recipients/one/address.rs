//! The address of a recipient: how a path or an entry of a body names it.

use serde_json::{Value, json};
use shared::message::phone::Phone;

use crate::{
    http::{error::ApiError, fields::Fields, query::Query},
    lists::names::{self, LONGEST, NameKind},
    openapi::{
        operation::{object, or_null},
        parameters::e164,
    },
};

/// How a call names a recipient.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Address {
    /// By its place in the list.
    Seq(u32),
    /// By its number.
    Phone(Phone),
    /// By its reference, which only one recipient of the schedule may have.
    Reference(Box<str>),
}

/// What the last part of a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressKind {
    /// The place in the list.
    Seq,
    /// The reference.
    Reference,
}

impl AddressKind {
    /// All kinds.
    pub const ALL: [Self; 2] = [Self::Seq, Self::Reference];

    /// Returns the name in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Seq => "seq",
            Self::Reference => "reference",
        }
    }
}

impl Address {
    /// Reads the last part of a path: a place in the list if it consists of digits, unless `?by=`
    /// says otherwise, else a reference.
    pub fn of_path(part: &str, mut query: Query) -> Result<Self, ApiError> {
        let by = query.choice("by", &AddressKind::ALL, AddressKind::as_str);
        query.finish()?;
        let is_seq = by.map_or_else(
            || part.bytes().all(|byte| byte.is_ascii_digit()),
            |by| by == AddressKind::Seq,
        );
        let address = if is_seq {
            part.parse().ok().map(Self::Seq)
        } else {
            let read = names::read(NameKind::Reference, part).ok().flatten();
            read.map(Self::Reference)
        };
        address.ok_or_else(no_such_recipient)
    }

    /// Reads the address from the fields of an entry, exactly one of `seq`, `phone` and `reference`.
    /// An error is recorded in `fields`.
    pub fn read(fields: &mut Fields) -> Option<Self> {
        let seq = fields.number("seq", 1..=u32::MAX);
        let phone = fields.text("phone").and_then(|given| {
            let parsed = Phone::parse(&given);
            parsed
                .map_err(|error| fields.complain("phone", error.code(), error.to_string()))
                .ok()
        });
        let reference = fields.text("reference").and_then(|given| {
            let parsed = names::read(NameKind::Reference, &given);
            parsed
                .map_err(|error| fields.complain("reference", error.code(), error.to_string()))
                .ok()?
        });
        match (seq, phone, reference) {
            (Some(seq), None, None) => Some(Self::Seq(seq)),
            (None, Some(phone), None) => Some(Self::Phone(phone)),
            (None, None, Some(reference)) => Some(Self::Reference(reference)),
            (None, None, None) => {
                if fields.is_faultless() {
                    fields.complain("", "missing", "expected seq, phone or reference");
                }
                None
            }
            _ => {
                fields.complain("", "one-of", "expected one of: seq, phone, reference");
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
    let reference =
        json!({"type": "string", "minLength": 1, "maxLength": LONGEST, "pattern": r"^\S"});
    let kinds = [("seq", seq), ("phone", e164()), ("reference", reference)];
    let by = |(name, schema): &(&str, Value)| {
        let mut properties = json!({});
        for (other, _) in &kinds {
            properties[other] = json!({"type": "null"});
        }
        properties[name] = schema.clone();
        json!({"required": [name], "properties": properties})
    };
    for (name, schema) in &kinds {
        members[name] = or_null(schema.clone());
    }
    let mut entry = object(members, required);
    // Each of these excludes the others, so this is a choice of exactly one.
    entry["anyOf"] = kinds.iter().map(by).collect();
    entry["description"] =
        json!("A recipient, by its place in the list, its number, or its reference.");
    entry
}

/// Returns `?by=`.
pub fn by() -> Value {
    json!({"name": "by", "in": "query", "schema": {"type": "string", "enum": AddressKind::ALL.map(AddressKind::as_str)},
        "description": "What the last part of the path is. Without it: the place in the list if it consists of digits, else the reference."})
}

/// Returns the schema of the last part of the path.
pub fn path_schema() -> Value {
    json!({"type": "string", "minLength": 1, "maxLength": LONGEST})
}
