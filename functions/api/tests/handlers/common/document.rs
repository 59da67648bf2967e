//! Checks each response that a test receives against the OpenAPI document: status, content type,
//! headers and body.

use std::{
    collections::HashMap,
    sync::{Arc, LazyLock, Mutex},
};

use api::routes::{document, table};
use axum::http::{HeaderMap, Method, StatusCode};
use jsonschema::Validator;
use serde_json::{Value, json};

/// Returns the target of a `$ref`, or the value itself.
pub fn resolved(value: &'static Value) -> &'static Value {
    let reference = value.get("$ref").and_then(Value::as_str);
    reference.map_or(value, |reference| {
        document()
            .pointer(reference.trim_start_matches('#'))
            .unwrap()
    })
}

/// Whether a path matches a route.
fn fits(route: &str, path: &str) -> bool {
    let (route, path): (Vec<_>, Vec<_>) = (route.split('/').collect(), path.split('/').collect());
    route.len() == path.len()
        && route
            .iter()
            .zip(path)
            .all(|(part, given)| part.starts_with('{') || *part == given)
}

/// Returns name and description of the operation at a path, if there is one. A literal segment
/// takes precedence over a parameter.
pub fn operation_at(method: &Method, path: &str) -> Option<(String, &'static Value)> {
    let routes = table()
        .into_iter()
        .map(|route| route.endpoint)
        .filter(|route| route.method == *method && fits(route.path, path));
    let route = routes.min_by_key(|route| route.path.matches('{').count())?;
    let operation = &document()["paths"][route.path][method.as_str().to_lowercase()];
    Some((format!("{method} {}", route.path), operation))
}

/// Returns a validator for a schema of the document, which may refer to the other schemas.
/// Validators are cached by name.
pub fn validator(name: String, schema: &Value) -> Arc<Validator> {
    static CACHE: LazyLock<Mutex<HashMap<String, Arc<Validator>>>> = LazyLock::new(Mutex::default);
    let make = || {
        let root = json!({"$schema": "https://json-schema.org/draft/2020-12/schema", "allOf": [schema],
            "components": {"schemas": document()["components"]["schemas"]}});
        Arc::new(
            jsonschema::options()
                .should_validate_formats(true)
                .build(&root)
                .unwrap(),
        )
    };
    CACHE
        .lock()
        .unwrap()
        .entry(name)
        .or_insert_with(make)
        .clone()
}

/// Fails with all violations of the schema.
fn assert_valid(what: &str, schema: &Value, value: &Value) {
    let errors: Vec<_> = validator(what.to_owned(), schema)
        .iter_errors(value)
        .map(|error| format!("{}: {error}", error.instance_path()))
        .collect();
    assert!(
        errors.is_empty(),
        "{what} differs from the document: {}\n{value}",
        errors.join("\n")
    );
}

/// Returns the body of a response: JSON, or the text of a report; null if there is none.
pub fn read(status: StatusCode, headers: &HeaderMap, body: Vec<u8>) -> Value {
    let has_none = matches!(status, StatusCode::NO_CONTENT | StatusCode::NOT_MODIFIED);
    if has_none && body.is_empty() {
        return Value::Null;
    }
    let kind = headers
        .get("content-type")
        .map_or("", |kind| kind.to_str().unwrap());
    if kind.starts_with("text/csv") || kind == "application/x-ndjson" {
        return String::from_utf8(body).unwrap().into();
    }
    serde_json::from_slice(&body).unwrap_or_else(|_| panic!("not JSON: {body:?}"))
}

/// Fails if the response differs from the document.
pub fn check(
    method: &Method,
    path: &str,
    (status, headers, body): (StatusCode, &HeaderMap, &Value),
) {
    let Some((what, operation)) = operation_at(method, path) else {
        return;
    };
    let what = format!("{what} {}", status.as_u16());
    let answer = resolved(&operation["responses"][status.as_str()]);
    assert!(answer.is_object(), "{what} is not documented: {body}");
    for (name, header) in answer["headers"].as_object().unwrap() {
        let header = resolved(header);
        let Some(value) = headers.get(name) else {
            assert_ne!(header["required"], true, "{what} has no {name}");
            continue;
        };
        let text = value.to_str().unwrap();
        let value = if header["schema"]["type"] == "integer" {
            json!(text.parse::<u64>().unwrap())
        } else {
            json!(text)
        };
        assert_valid(&format!("{name} of {what}"), &header["schema"], &value);
    }
    let given = headers
        .get("content-type")
        .map(|kind| kind.to_str().unwrap().split(';').next().unwrap());
    let Some(content) = answer.get("content") else {
        assert!(
            given.is_none() && body.is_null(),
            "{what} has a body: {body}"
        );
        return;
    };
    let media = given.and_then(|given| content.get(given));
    let media =
        media.unwrap_or_else(|| panic!("{what} is not documented with content type {given:?}"));
    let what = format!("{what} {}", given.unwrap_or_default());
    assert_valid(&what, &media["schema"], body);
    if let Some(schema) = media.get("x-item-schema") {
        let what = format!("a line of {what}");
        // A long report has many lines alike.
        for line in body.as_str().unwrap().lines().take(100) {
            assert_valid(&what, schema, &serde_json::from_str(line).unwrap());
        }
    }
}
