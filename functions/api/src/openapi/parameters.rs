//! Parameters: those of paths, by their names; those of lists; and headers.

use serde_json::{Value, json};
use shared::message::{phone::E164, status::Status};

use crate::{
    http::{problems::PROBLEMS, query::Limit},
    resources::attention::Kind,
};

/// A time in an example that lies ahead; whoever tries one puts another there.
pub const AHEAD: &str = "2027-01-31T09:00:00+08:00";

/// The parameters of a path, in its order.
pub fn of_path(path: &str) -> Vec<Value> {
    let names = path
        .split('/')
        .filter_map(|part| part.strip_prefix('{')?.strip_suffix('}'));
    names.map(of_name).collect()
}

fn of_name(name: &str) -> Value {
    let (schema, text, example) = match name {
        "id" => (
            json!({"type": "string", "format": "uuid"}),
            "Its id.",
            json!("0190a0b0-c0d0-7080-8000-00000000000f"),
        ),
        "event_id" => (
            json!({"type": "string", "format": "uuid"}),
            "The event's id.",
            json!("0190a0b0-c0d0-7080-8000-00000000000d"),
        ),
        "phone" => (
            e164(),
            "A number; `+` may be written `%2B`.",
            json!("+60123456789"),
        ),
        "no" => (
            place(),
            "The batch's number in its schedule, from 1.",
            json!(1),
        ),
        "seq" => (
            place(),
            "The recipient's place in the list, from 1.",
            json!(1),
        ),
        "carrier" => (
            json!({"type": "string"}),
            "Its name, as `CALLBACK_SECRETS` has it.",
            json!("sim"),
        ),
        "kind" => (
            json!({"type": "string", "enum": Kind::ALL.map(Kind::as_str)}),
            "The kind.",
            json!("uncertain"),
        ),
        "slug" => {
            let slugs: Vec<_> = PROBLEMS.iter().map(|page| page.slug).collect();
            (
                json!({"type": "string", "enum": slugs}),
                "The last part of its `type`.",
                json!("not-found"),
            )
        }
        "file" => (
            json!({"type": "string", "enum": super::page::FILES.map(|file| file.name)}),
            "Its name.",
            json!("swagger-ui.css"),
        ),
        _ => (json!({"type": "string"}), "", json!("")),
    };
    json!({"name": name, "in": "path", "required": true, "description": text, "schema": schema, "example": example})
}

/// A number as it has to be given where no country is.
pub fn e164() -> Value {
    json!({"type": "string", "pattern": E164})
}

fn place() -> Value {
    json!({"type": "integer", "minimum": 1, "maximum": u32::MAX})
}

/// `limit` and `cursor` of a list.
pub fn page(limit: Limit) -> [Value; 2] {
    let cursor = json!({"name": "cursor", "in": "query", "schema": {"type": "string"},
        "description": "The `next_cursor` of the page before. Not given: the first page."});
    [only_limit(limit), cursor]
}

/// `limit` of a list that has one page.
pub fn only_limit(Limit { most, default }: Limit) -> Value {
    json!({"name": "limit", "in": "query", "description": "Entries of a page, at most.",
        "schema": {"type": "integer", "minimum": 1, "maximum": most, "default": default}})
}

/// A bound in time.
pub fn time(name: &str, text: &str) -> Value {
    json!({"name": name, "in": "query", "description": text, "schema": {"type": "string", "format": "date-time"}})
}

/// `status` of recipients.
pub fn status() -> Value {
    json!({"name": "status", "in": "query", "description": "Only those in this state.",
        "schema": {"type": "string", "enum": Status::ALL.map(Status::as_str)}})
}

/// `true` or `false`.
pub fn flag() -> Value {
    json!({"type": "boolean", "default": false})
}
