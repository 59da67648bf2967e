//! Lists, for the document: every content type that they come in, and the parameters that say how they are read.

use serde_json::{Value, json};
use shared::message::template::MAX_VARIABLES;

use crate::openapi::{Takes, operation::object, parameters::e164};
use crate::{
    http::body::LONGEST_COLUMN,
    lists::{Format, entry::MAX_ENTRIES},
};

/// An entry: what it is meant to be. Anything else of JSON is an entry too, an invalid one.
pub fn entry_schema(variables: bool) -> Value {
    let mut members = json!({"phone": e164()});
    if variables {
        members["vars"] = json!({
            "type": ["object", "null"],
            "additionalProperties": {"type": ["string", "number", "null"]},
            "description": format!("What the message takes from this recipient; at most {MAX_VARIABLES} bytes of JSON."),
        });
    }
    json!({"anyOf": [e164(), object(members, &["phone"])]})
}

/// Entries.
pub fn entries_schema(variables: bool) -> Value {
    json!({"type": "array", "items": entry_schema(variables), "minItems": 1, "maxItems": MAX_ENTRIES})
}

/// A country's two letters.
pub fn country_schema() -> Value {
    json!({"type": "string", "pattern": "^[A-Za-z]{2}$"})
}

/// How a list is read.
pub fn list_parameters() -> [Value; 3] {
    let parameter = |name: &str, schema: Value, text: &str| json!({"name": name, "in": "query", "schema": schema, "description": text});
    [
        parameter(
            "default_country",
            country_schema(),
            "Two letters (ISO 3166), such as `MY`: numbers without a plus sign are read as they are dialled there.",
        ),
        parameter(
            "column",
            json!({"type": "string", "minLength": 1, "maxLength": LONGEST_COLUMN, "pattern": r"\S", "not": {"const": "0"}}),
            "Of CSV, the column with the numbers: its name in the header, or its place from 1. Not given: the one called `phone`, or the only one.",
        ),
        parameter(
            "format",
            json!({"type": "string", "enum": Format::ALL.map(Format::as_str)}),
            "What is in `application/gzip`; not given: seen by its beginning. Elsewhere it has to be what the content type says.",
        ),
    ]
}

/// A list in every content type.
pub fn list_body(variables: bool) -> Takes {
    let entries = entries_schema(variables);
    let array = if variables {
        json!(["+60123456789", {"phone": "+60123456780", "vars": {"name": "Ana"}}])
    } else {
        json!(["+60123456789", {"phone": "+60123456780"}])
    };
    let (lines, table) = if variables {
        (
            "\"+60123456781\"\n{\"phone\": \"+60123456782\", \"vars\": {\"name\": \"Ana\"}}\n",
            "phone,name\n+60123456783,Ana\n",
        )
    } else {
        (
            "\"+60123456781\"\n{\"phone\": \"+60123456782\"}\n",
            "phone\n+60123456783\n",
        )
    };
    let text = |what: &str| json!({"type": "string", "description": what});
    let json = json!({"oneOf": [entries, object(json!({"recipients": entries}), &["recipients"])]});
    Takes {
        required: true,
        media: vec![
            (
                "application/json",
                json,
                vec![
                    ("array", array),
                    ("object", json!({"recipients": ["+60123456784"]})),
                ],
            ),
            (
                "application/x-ndjson",
                text("An entry a line, as in the array."),
                vec![("lines", json!(lines))],
            ),
            (
                "text/csv",
                text("One column, or a header with `phone` or the one that `column` names."),
                vec![("table", json!(table))],
            ),
            (
                "application/gzip",
                json!({"type": "string", "format": "binary", "contentMediaType": "application/gzip", "description": "Any of them, in gzip."}),
                Vec::new(),
            ),
        ],
    }
}
