//! Parameters that several operations have: those of paths, by their names, and those of lists.

use serde_json::{Value, json};
use shared::message::{phone::E164, status::Status};

use crate::{
    http::{format::Format, query::Limit},
    openapi::{Operation, schemas::derived},
};

/// A time in the future, for examples; clients that execute an example may have to replace it.
pub const AHEAD: &str = "2027-01-31T09:00:00+08:00";

/// Returns the parameters of a path, in its order. An operation describes those that are specific
/// to it ([`Operation::path`]); the others are described here.
pub fn of_path(path: &str, operation: &Operation) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    let described = |name: &str| {
        let mut own = operation.path.iter();
        own.find(|parameter| parameter["name"] == name).cloned()
    };
    names
        .map(|name| described(name).unwrap_or_else(|| of_name(name)))
        .collect()
}

/// Returns the parameter of a path that is named so on each route; an unknown name has no
/// description, which a test rejects.
fn of_name(name: &str) -> Value {
    let (schema, text, example) = match name {
        "id" => (
            uuid(),
            "The id of the resource.",
            json!("0190a0b0-c0d0-7080-8000-00000000000f"),
        ),
        "event_id" => (
            uuid(),
            "The id of the event.",
            json!("0190a0b0-c0d0-7080-8000-00000000000d"),
        ),
        "phone" => (
            e164(),
            "A phone number; `+` may be encoded as `%2B`.",
            json!("+60123456789"),
        ),
        "sender" => (
            json!({"type": "string", "minLength": 1, "maxLength": 16}),
            "What a message is sent from; a space is encoded as `%20`.",
            json!("Acme"),
        ),
        "no" => (
            position(),
            "The number of the batch in its schedule, from 1.",
            json!(1),
        ),
        "recipient" => (
            position(),
            "The position of the recipient in the list, from 1.",
            json!(1),
        ),
        _ => (json!({"type": "string"}), "", json!("")),
    };
    in_path(name, schema, text, example)
}

/// Returns a parameter of a path.
pub fn in_path(name: &str, schema: Value, text: &str, example: Value) -> Value {
    json!({"name": name, "in": "path", "required": true, "description": text, "schema": schema, "example": example})
}

/// Returns the schema of a phone number that is not read in the context of a country.
pub fn e164() -> Value {
    json!({"type": "string", "pattern": E164})
}

fn uuid() -> Value {
    json!({"type": "string", "format": "uuid"})
}

fn position() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": u32::MAX})
}

/// Returns `limit` and `cursor` of a list.
pub fn page(limit: Limit) -> [Value; 2] {
    [only_limit(limit), cursor()]
}

/// Returns `cursor` of a list.
pub fn cursor() -> Value {
    json!({"name": "cursor", "in": "query", "schema": {"type": "string"},
        "description": "The `next_cursor` of the previous page. Without it: the first page."})
}

/// Returns `limit` of a list that has one page.
pub fn only_limit(Limit { most, default }: Limit) -> Value {
    json!({"name": "limit", "in": "query", "description": "The maximum number of entries of a page.",
        "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": default}})
}

/// Returns `format`, `limit` and `cursor` of a list that is also answered as a report, whose pages
/// may be longer than those of JSON.
pub fn report_page(json: Limit, report: Limit) -> [Value; 3] {
    let formats = Format::ALL.map(Format::as_str);
    let format = json!({"name": "format", "in": "query", "schema": {"title": "ReportFormat", "type": "string", "enum": formats},
        "description": "The format of the answer. Without it: the one that `Accept` prefers, and JSON without an `Accept`."});
    let [mut limit, cursor] = page(report);
    if let Some(schema) = limit["schema"].as_object_mut() {
        schema.remove("default");
    }
    limit["description"] = json!(format!(
        "The maximum number of entries of a page. JSON: never more than {}, and {} by default. CSV and NDJSON: {} by default; a page also ends \
         at 4.6 MB.",
        json.most, json.default, report.default
    ));
    [format, limit, cursor]
}

/// Returns `reference` and `group`, which select recipients by what the client's system calls them.
pub fn recipient_names(of_group: &str) -> [Value; 2] {
    let schema = || json!({"type": "string", "minLength": 1, "maxLength": 64});
    [
        json!({"name": "reference", "in": "query", "schema": schema(), "description": "Only recipients with this reference."}),
        json!({"name": "group", "in": "query", "schema": schema(), "description": of_group}),
    ]
}

/// Returns `include`, which adds members to recipients.
pub fn include() -> Value {
    json!({"name": "include", "in": "query", "schema": {"type": "string", "enum": ["variables"]},
        "description": "`variables`: also the variables of each recipient; in CSV as a last column with a JSON object."})
}

/// Returns `changed_since`, which selects what may have changed.
pub fn changed_since() -> Value {
    time(
        "changed_since",
        "Only messages that have changed at this time or later, and all that are on their way. Take it from `Next-Changed-Since` of the \
         first page of the previous poll.",
    )
}

/// Returns a bound in time.
pub fn time(name: &str, text: &str) -> Value {
    json!({"name": name, "in": "query", "description": text, "schema": {"type": "string", "format": "date-time"}})
}

/// Returns `status`, which selects recipients by their state.
pub fn status() -> Value {
    json!({"name": "status", "in": "query", "description": "Only recipients in this state.",
        "schema": derived::<Status>()})
}

/// The states of messages: an INVALID entry is no message.
pub fn message_states() -> Vec<Status> {
    let states = Status::ALL.into_iter();
    states.filter(|status| *status != Status::Invalid).collect()
}

/// Returns `status`, which selects messages by their state.
pub fn message_status() -> Value {
    let states: Vec<_> = message_states().into_iter().map(Status::as_str).collect();
    json!({"name": "status", "in": "query", "description": "Only messages in this state.",
        "schema": {"type": "string", "enum": states}})
}

/// Returns the schema of a flag that is false by default.
pub fn flag() -> Value {
    json!({"type": "boolean", "default": false})
}
