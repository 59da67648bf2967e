//! The body of a decision: the outcome, and the recipients.

use std::collections::BTreeSet;

use axum::body::Bytes;
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::{Value, json, value::RawValue};
use shared::message::phone::Phone;

use crate::{
    http::{
        error::{ApiError, FieldError},
        fields::{Fields, whole},
    },
    openapi::{operation::object, parameters::e164},
};

/// The largest number of recipients that a call may name.
const MAX_NAMED: usize = 10_000;
/// A list of names with more bytes per name is no list of numbers.
const MAX_NAME: usize = 64;
/// The number of wrong names that an error shows.
const SHOWN: usize = 100;

/// The fate of messages whose answer was lost, as an operator decides it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// They were accepted by the carrier.
    Sent,
    /// They were not accepted, or it does not matter: they are sent again.
    Resend,
}

impl Outcome {
    /// Both outcomes.
    pub const ALL: [Self; 2] = [Self::Sent, Self::Resend];

    /// Returns the value in the API.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Resend => "resend",
        }
    }
}

/// Recipients, each once.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Names {
    /// By their place in the list.
    pub seqs: BTreeSet<u32>,
    /// By their number.
    pub phones: BTreeSet<Phone>,
}

/// A body.
#[derive(Debug)]
pub struct ResolveRequest {
    /// The outcome.
    pub outcome: Outcome,
    /// The recipients; `None` for all.
    pub names: Option<Names>,
}

impl ResolveRequest {
    /// Reads a body. The error names every wrong field and name.
    pub fn read(body: &Bytes) -> Result<Self, ApiError> {
        let mut fields = Fields::read(body)?;
        let outcome = outcome(&mut fields);
        let given = fields.raw("recipients");
        let mut errors = fields.finish();
        let names = given.and_then(|given| names(given, &mut errors));
        let total = errors.len();
        errors.truncate(SHOWN);
        match outcome {
            Some(outcome) if total == 0 => Ok(Self { outcome, names }),
            _ => Err(ApiError::Invalid(errors, total)),
        }
    }

    /// Reads a body that has no field but the outcome.
    pub fn read_outcome(body: &Bytes) -> Result<Outcome, ApiError> {
        let mut fields = Fields::read(body)?;
        let outcome = outcome(&mut fields);
        let errors = fields.finish();
        outcome
            .filter(|_| errors.is_empty())
            .ok_or_else(|| ApiError::invalid(errors))
    }
}

fn outcome(fields: &mut Fields) -> Option<Outcome> {
    const EXPECTED: &str = "expected one of: sent, resend";
    let Some(given) = fields.raw("outcome") else {
        fields.complain("outcome", "missing", EXPECTED);
        return None;
    };
    let given: String = serde_json::from_str(given.get()).unwrap_or_default();
    let found = Outcome::ALL
        .into_iter()
        .find(|outcome| outcome.as_str() == given);
    if found.is_none() {
        fields.complain("outcome", "not-a-choice", EXPECTED);
    }
    found
}

fn names(given: &RawValue, errors: &mut Vec<FieldError>) -> Option<Names> {
    if given.get().len() > MAX_NAMED * MAX_NAME {
        errors.push(too_many());
        return None;
    }
    let Ok(entries) = serde_json::from_str::<Vec<&RawValue>>(given.get()) else {
        let expected =
            r#"expected an array of numbers and places in the list, such as ["+60123456789", 17]"#;
        errors.push(FieldError::new("recipients", "wrong-type", expected));
        return None;
    };
    match entries.len() {
        0 => errors.push(FieldError::new(
            "recipients",
            "empty",
            "expected at least one entry; leave the field out to name all recipients",
        )),
        count if count > MAX_NAMED => errors.push(too_many()),
        _ => {}
    }
    let mut names = Names::default();
    for (position, entry) in (0..).zip(entries.iter().take(MAX_NAMED)) {
        if let Err((code, detail)) = names.add(entry.get()) {
            errors.push(FieldError {
                position: Some(position),
                ..FieldError::new("recipients", code, detail)
            });
        }
    }
    Some(names)
}

impl Names {
    fn add(&mut self, entry: &str) -> Result<(), (&'static str, String)> {
        if let Ok(phone) = serde_json::from_str::<String>(entry) {
            let phone = Phone::parse(&phone).map_err(|error| (error.code(), error.to_string()))?;
            self.phones.insert(phone);
        } else {
            let seq = serde_json::from_str(entry)
                .ok()
                .and_then(|number| whole(&number))
                .filter(|seq| *seq > 0);
            let expected = || {
                (
                    "wrong-type",
                    r#"expected a number, "+60123456789", or a place in the list, 17"#.to_owned(),
                )
            };
            self.seqs.insert(seq.ok_or_else(expected)?);
        }
        Ok(())
    }
}

fn too_many() -> FieldError {
    FieldError::new(
        "recipients",
        "too-many",
        format!("expected at most {MAX_NAMED} entries; name the others in further calls"),
    )
}

/// Returns the schema of the body that [`ResolveRequest::read`] reads.
pub fn request_schema() -> Value {
    let name = json!({"anyOf": [e164(), {"type": "integer", "minimum": 1, "maximum": u32::MAX}]});
    let names = json!({"type": ["array", "null"], "minItems": 1, "maxItems": MAX_NAMED, "items": name,
        "description": "Numbers, or places in the list; null: all recipients."});
    object(
        json!({"outcome": field_schema(), "recipients": names}),
        &["outcome"],
    )
}

/// Returns the schema of the body that [`ResolveRequest::read_outcome`] reads.
pub fn outcome_schema() -> Value {
    object(json!({"outcome": field_schema()}), &["outcome"])
}

fn field_schema() -> Value {
    json!({"title": "ResolveOutcome", "type": "string", "enum": Outcome::ALL.map(Outcome::as_str),
        "description": "`sent`: the message is never sent again. `resend`: it is sent again, and may arrive twice."})
}
