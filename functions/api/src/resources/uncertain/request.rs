//! What a decision says: the outcome, and on whom.

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

/// Recipients that a call may name.
const MAX_NAMED: usize = 10_000;
/// More than so many bytes a name is no list of numbers.
const MAX_NAME: usize = 64;
/// Wrong names that are shown.
const SHOWN: usize = 100;

/// What became of messages whose answer was lost, as a person says.
#[derive(Clone, Copy, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// They were accepted.
    Sent,
    /// They were not, or it does not matter: they are sent again.
    Resend,
}

impl Outcome {
    /// Both.
    pub const ALL: [Self; 2] = [Self::Sent, Self::Resend];

    /// The word in the API.
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
    /// What became of them.
    pub outcome: Outcome,
    /// On whom; `None`: everybody.
    pub names: Option<Names>,
}

impl ResolveRequest {
    /// Reads a body; every wrong field and name is told.
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

    /// Reads a body that has nothing but the outcome.
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
            "expected at least one entry, or no such field: everybody",
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
        format!("expected at most {MAX_NAMED} entries; name the rest by further calls"),
    )
}

/// For the document: what [`ResolveRequest::read`] takes.
pub fn request_schema() -> Value {
    let name = json!({"anyOf": [e164(), {"type": "integer", "minimum": 1, "maximum": u32::MAX}]});
    let names = json!({"type": ["array", "null"], "minItems": 1, "maxItems": MAX_NAMED, "items": name,
        "description": "Numbers, or places in the list; null: everybody."});
    object(
        json!({"outcome": field_schema(), "recipients": names}),
        &["outcome"],
    )
}

/// Likewise, for [`ResolveRequest::read_outcome`].
pub fn outcome_schema() -> Value {
    object(json!({"outcome": field_schema()}), &["outcome"])
}

fn field_schema() -> Value {
    json!({"type": "string", "enum": Outcome::ALL.map(Outcome::as_str),
        "description": "`sent`: never sent to again. `resend`: it goes out again, and may arrive twice."})
}
