//! The OpenAPI document against the API: the documented parameters and fields are exactly those
//! that the API accepts. Each test of this binary checks its responses against the document
//! (`common::document`).

use std::collections::BTreeSet;

use crate::common::{
    Answer, Api,
    document::resolved,
    operations::{filled, operations, send},
};
use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// Returns the names that the API accepts, from its error about an unknown one.
fn accepted_names(answer: &Answer, field: &str) -> BTreeSet<String> {
    let errors = answer.body["errors"]
        .as_array()
        .unwrap_or_else(|| panic!("{}", answer.body));
    let error = errors
        .iter()
        .find(|error| error["field"] == field)
        .unwrap_or_else(|| panic!("{}", answer.body));
    let (_, names) = error["detail"]
        .as_str()
        .unwrap()
        .split_once("expected only: ")
        .unwrap();
    names
        .split(", ")
        .filter(|name| *name != "none" && *name != "once")
        .map(str::to_owned)
        .collect()
}

/// Whether a carrier calls the operation. Unknown parameters and fields of a carrier are ignored.
fn is_signed(operation: &Value) -> bool {
    operation.pointer("/security/0/signature").is_some()
}

/// Returns the field names of an object schema.
fn names(schema: &Value) -> BTreeSet<String> {
    schema["properties"]
        .as_object()
        .unwrap()
        .keys()
        .cloned()
        .collect()
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_accepted_parameters_are_the_documented_ones(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let mut checked = 0;
    for (method, path, operation) in operations() {
        // An operation that ignores unknown parameters reports no names.
        if operation["responses"].get("422").is_none() || is_signed(operation) {
            continue;
        }
        let answer = send(
            &admin,
            method.clone(),
            &format!("{}?zzz=1", filled(path)),
            ("application/gzip", Vec::new()),
        )
        .await;
        let parameters = operation["parameters"]
            .as_array()
            .unwrap()
            .iter()
            .filter(|parameter| parameter["in"] == "query");
        let documented: BTreeSet<_> = parameters
            .map(|parameter| parameter["name"].as_str().unwrap().to_owned())
            .collect();
        assert_eq!(
            accepted_names(&answer, "zzz"),
            documented,
            "{method} {path}"
        );
        checked += 1;
    }
    assert!(checked > 40, "{checked}");
}

/// A body with an unknown field in each object that the schema of an operation describes.
fn with_unknown_fields(schema: &Value, is_list: bool) -> Value {
    let mut body = json!({"zzz": 1});
    if is_list {
        body["recipients"] = json!([{"phone": "+60123456789", "zzz": 1}]);
    }
    if schema["properties"].get("window").is_some() {
        body["window"] = json!({"zzz": 1});
    }
    body
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn the_accepted_fields_are_the_documented_ones(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    for (method, path, operation) in operations() {
        let Some(schema) = operation.pointer("/requestBody/content/application~1json/schema")
        else {
            continue;
        };
        if is_signed(operation) {
            continue;
        }
        let schema = resolved(schema);
        let is_list = schema.get("items").is_some();
        let what = format!("{method} {path}");
        let mut path = filled(path);
        if is_list {
            let draft = admin.schedule(&[]).await.to_string();
            path = path.replace("018f0000-0000-7000-8000-000000000000", &draft);
        }
        let parameters = operation["parameters"].as_array().into_iter().flatten();
        for required in parameters.filter(|parameter| {
            (&parameter["in"], &parameter["required"]) == (&json!("query"), &json!(true))
        }) {
            let separator = if path.contains('?') { '&' } else { '?' };
            path = format!("{path}{separator}{}=x", required["name"].as_str().unwrap());
        }
        let body = with_unknown_fields(schema, is_list).to_string();
        let answer = send(
            &admin,
            method,
            &path,
            ("application/json", body.into_bytes()),
        )
        .await;
        assert_eq!(accepted_names(&answer, "zzz"), names(schema), "{what}");
        if is_list {
            let entry = &schema["properties"]["recipients"]["items"]["anyOf"][1];
            let entry = resolved(entry);
            let accepted = accepted_names(&answer, "recipients.zzz");
            assert_eq!(accepted, names(entry), "{what}");
        }
        if let Some(window) = schema["properties"].get("window") {
            assert_eq!(
                accepted_names(&answer, "window.zzz"),
                names(resolved(&window["anyOf"][0])),
                "{what}"
            );
        }
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_path_that_is_not_utf_8_is_answered_with_a_problem(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    for (method, path, operation) in operations()
        .into_iter()
        .filter(|(_, path, _)| path.contains('{'))
    {
        let path: Vec<_> = path
            .split('/')
            .map(|part| if part.starts_with('{') { "%FF" } else { part })
            .collect();
        let path = path.join("/");
        let answer = send(
            &admin,
            method.clone(),
            &path,
            ("application/json", b"{}".to_vec()),
        )
        .await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::BAD_REQUEST, "malformed-body"),
            "{method} {path}"
        );
        assert!(
            resolved(&operation["responses"]["400"])["content"]
                .get("application/problem+json")
                .is_some(),
            "{method} {path}"
        );
    }
}
