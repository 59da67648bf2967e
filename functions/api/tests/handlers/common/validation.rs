//! Checks of refused requests.

use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::Value;

use super::{Api, users::PASSWORD};

/// Returns field and code of each error, and checks that its detail says what was expected.
pub fn field_errors(body: &Value) -> Vec<(&str, &str)> {
    let errors = body["errors"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let pairs = errors.iter().map(|error| {
        assert!(
            error["detail"]
                .as_str()
                .is_some_and(|detail| detail.contains("expected")),
            "{error}"
        );
        (
            error["field"].as_str().unwrap(),
            error["code"].as_str().unwrap(),
        )
    });
    pairs.collect()
}

/// Sends each body of the table, and checks that exactly the expected errors are returned and no
/// password is.
pub async fn assert_refused(
    api: &Api,
    method: &str,
    path: &str,
    table: &[(Value, &[(&str, &str)])],
) {
    for (body, expected) in table {
        let request = Request::builder()
            .method(method)
            .uri(path)
            .header("content-type", "application/json");
        let answer = api
            .call(request.body(Body::from(body.to_string())).unwrap())
            .await;
        let what = format!("{method} {path} {body}: {}", answer.body);
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
            "{what}"
        );
        assert_eq!(field_errors(&answer.body), *expected, "{what}");
        let text = answer.body.to_string();
        assert!(
            !text.contains(PASSWORD) && !text.contains("hunter2"),
            "the response contains a password: {text}"
        );
    }
}
