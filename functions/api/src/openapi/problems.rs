//! Problem documents (RFC 9457): one schema a type, from the same list as its page.

use serde_json::{Map, Value, json};
use shared::{access::Permission, schedule::status::ScheduleStatus};

use crate::openapi::schemas::Schemas;
use crate::{
    http::{
        error::FieldError,
        problems::{PROBLEMS, ProblemPage},
    },
    resources::schedules::state::STEPS,
};

/// A name for the document: `not-found` is `NotFoundProblem`.
fn schema_name(slug: &str) -> String {
    let capital = |word: &str| {
        let (first, rest) = word.split_at(1.min(word.len()));
        first.to_uppercase() + rest
    };
    slug.split('-').map(capital).collect::<String>() + "Problem"
}

/// Members beside the usual ones, and those of them that are always there.
fn members(slug: &str, schemas: &mut Schemas) -> (Value, &'static [&'static str]) {
    match slug {
        "forbidden" => (
            json!({"permission": {"enum": Permission::ALL.map(Permission::as_str), "description": "What the caller lacks."}}),
            &[],
        ),
        "wrong-state" | "schedule-begun" | "nothing-missed" | "no-recipients" | "run-at-past" => {
            let possible = json!({"type": "array", "items": {"enum": STEPS}, "description": "The calls that are possible now."});
            let status = schemas.generator().subschema_for::<ScheduleStatus>();
            (
                json!({"schedule_status": status, "possible": possible}),
                &["schedule_status", "possible"],
            )
        }
        "invalid-request" => {
            let error = schemas.generator().subschema_for::<FieldError>();
            let total = json!({"type": "integer", "minimum": 1, "description": "How many there are; the first hundred are shown."});
            (
                json!({"errors": {"type": "array", "items": error, "minItems": 1}, "errors_total": total}),
                &["errors", "errors_total"],
            )
        }
        "rate-limited" | "login-locked" | "daily-limit" => (
            json!({"retry_after_s": {"type": "integer", "minimum": 0, "description": "As `Retry-After`."}}),
            &["retry_after_s"],
        ),
        "receipt-too-early" => {
            let count = || json!({"type": "integer", "minimum": 0});
            let error = schemas.generator().subschema_for::<FieldError>();
            let invalid = json!({"type": "array", "items": error});
            (
                json!({"recorded": count(), "unchanged": count(), "unknown": count(), "too_early": count(), "invalid": invalid}),
                &["recorded", "unchanged", "unknown", "too_early", "invalid"],
            )
        }
        // `/health` tells these too.
        "unavailable" => (
            json!({"version": {"type": "string"}, "commit": {"type": "string"}, "database": {"const": "unavailable"}}),
            &[],
        ),
        _ => (json!({}), &[]),
    }
}

fn schema(page: &ProblemPage, schemas: &mut Schemas) -> Value {
    let (own, always) = members(page.slug, schemas);
    let mut properties = json!({
        "type": {"const": format!("/problems/{}", page.slug)},
        "title": {"type": "string"},
        "status": {"const": page.status},
        "detail": {"type": "string", "description": "What was expected, for people."},
    });
    if let (Some(properties), Value::Object(own)) = (properties.as_object_mut(), own) {
        properties.extend(own);
    }
    let required: Vec<_> = ["type", "title", "status", "detail"]
        .iter()
        .chain(always)
        .collect();
    let text = format!("{} {}", page.meaning, page.remedy);
    json!({"type": "object", "description": text, "properties": properties, "required": required, "additionalProperties": false})
}

/// The problems of these slugs, by their status: one answer each.
pub fn answers(slugs: &[&str], schemas: &mut Schemas) -> Vec<(u16, Value)> {
    let mut by_status: std::collections::BTreeMap<u16, Vec<&ProblemPage>> =
        std::collections::BTreeMap::new();
    for page in PROBLEMS.iter().filter(|page| slugs.contains(&page.slug)) {
        by_status.entry(page.status).or_default().push(page);
    }
    by_status
        .into_iter()
        .map(|(status, pages)| (status, answer(status, &pages, schemas)))
        .collect()
}

fn answer(status: u16, pages: &[&ProblemPage], schemas: &mut Schemas) -> Value {
    let name = pages
        .iter()
        .fold(status.to_string(), |name, page| name + "." + page.slug);
    if !schemas.answers.contains_key(&name) {
        let answer = make(status, pages, schemas);
        schemas.answers.insert(name.clone(), answer);
    }
    json!({"$ref": format!("#/components/responses/{name}")})
}

fn make(status: u16, pages: &[&ProblemPage], schemas: &mut Schemas) -> Value {
    let mut refs: Vec<Value> = Vec::new();
    for page in pages {
        let schema = schema(page, schemas);
        refs.push(schemas.add(&schema_name(page.slug), schema));
    }
    let lines: Vec<_> = pages
        .iter()
        .map(|page| format!("- `{}`: {}", page.slug, page.meaning))
        .collect();
    let schema = if refs.len() == 1 {
        refs.remove(0)
    } else {
        json!({"oneOf": refs})
    };
    let mut headers = Map::new();
    let own: &[&str] = match status {
        401 | 403 => &["WWW-Authenticate"],
        429 | 503 => &["Retry-After"],
        _ => &[],
    };
    // The rate only where requests are counted.
    for name in own
        .iter()
        .chain(&["X-Request-Id", "RateLimit", "RateLimit-Policy"])
    {
        headers.insert(
            (*name).to_owned(),
            json!({"$ref": format!("#/components/headers/{name}")}),
        );
    }
    json!({"description": lines.join("\n"), "headers": headers, "content": {"application/problem+json": {"schema": schema}}})
}
