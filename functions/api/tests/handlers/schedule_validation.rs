//! Invalid input to the schedule routes, as tables of request and expected errors. No invalid
//! request leaves a row behind.

use crate::common::{Api, count, gzip, in_seconds, phones, request};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

/// Content type, query, body; then the expected status, problem and a part of the response body.
type BadList<'a> = (&'a str, &'a str, Vec<u8>, u16, &'a str, &'a str);
/// Field, position, code.
type FieldError<'a> = (&'a str, Option<u32>, &'a str);

/// Returns each error, and checks that it has a detail.
fn field_errors(body: &Value) -> Vec<FieldError<'_>> {
    let errors = body["errors"]
        .as_array()
        .map(Vec::as_slice)
        .unwrap_or_default();
    let triples = errors.iter().map(|error| {
        assert!(
            error["detail"]
                .as_str()
                .is_some_and(|detail| !detail.is_empty()),
            "{error}"
        );
        (
            error["field"].as_str().unwrap(),
            error["position"].as_u64().map(|at| at as u32),
            error["code"].as_str().unwrap(),
        )
    });
    triples.collect()
}

async fn assert_no_rows(pool: &MySqlPool) {
    assert_eq!(
        count(
            pool,
            "SELECT (SELECT COUNT(*) FROM schedules) + (SELECT COUNT(*) FROM recipients)"
        )
        .await,
        0
    );
}

const GOOD: &str = "+12012345678";

#[rustfmt::skip]
fn invalid_fields() -> Vec<(Value, Vec<FieldError<'static>>)> {
    vec![
        (json!({"run_at": null}), vec![("run_at", None, "missing")]),
        (json!({"run_at": in_seconds(-1)}), vec![("run_at", None, "in-the-past")]),
        (json!({"run_at": in_seconds(366 * 86_400)}), vec![("run_at", None, "too-far-ahead")]),
        (json!({"run_at": "2030-01-31T09:00:00"}), vec![("run_at", None, "no-offset")]),
        (json!({"run_at": "tomorrow"}), vec![("run_at", None, "not-a-time")]),
        (json!({"run_at": "2030-02-31T09:00:00Z"}), vec![("run_at", None, "not-a-time")]),
        (json!({"run_at": 1_900_000_000}), vec![("run_at", None, "not-a-time")]),
        (json!({"message": null}), vec![("message", None, "missing")]),
        (json!({"message": " \n\t\u{a0}"}), vec![("message", None, "empty")]),
        (json!({"message": ["a"]}), vec![("message", None, "wrong-type")]),
        (json!({"message": "a".repeat(1_531)}), vec![("message", None, "too-long")]),
        (json!({"message": "ж".repeat(671)}), vec![("message", None, "too-long")]),
        (json!({"sender": "Twelve chars"}), vec![("sender", None, "not-a-sender")]),
        (json!({"sender": ""}), vec![("sender", None, "not-a-sender")]),
        (json!({"sender": "1234567890123456"}), vec![("sender", None, "not-a-sender")]),
        (json!({"sender": "Müller"}), vec![("sender", None, "not-a-sender")]),
        (json!({"sender": 7}), vec![("sender", None, "wrong-type")]),
        (json!({"rate": 0, "max_attempts": 11, "max_lateness_s": 59, "resend_within_s": 82_801}), vec![
            ("rate", None, "out-of-range"), ("max_attempts", None, "out-of-range"),
            ("max_lateness_s", None, "out-of-range"), ("resend_within_s", None, "out-of-range")]),
        (json!({"rate": 1.5}), vec![("rate", None, "out-of-range")]),
        (json!({"priority": "urgent"}), vec![("priority", None, "not-a-choice")]),
        (json!({"send_within_s": 59}), vec![("send_within_s", None, "out-of-range")]),
        (json!({"send_until": "2030-01-01T00:00:00"}), vec![("send_until", None, "no-offset")]),
        (json!({"send_until": "2025-01-01T00:00:00Z"}), vec![("send_until", None, "not-after-run-at")]),
        (json!({"send_until": "2030-01-01T00:00:00Z", "send_within_s": 60}), vec![("send_within_s", None, "not-both")]),
        (json!({"rate": "fast"}), vec![("rate", None, "wrong-type")]),
        (json!({"on_uncertain": "shrug", "on_invalid": "ignore", "draft": "yes"}), vec![
            ("draft", None, "wrong-type"), ("on_invalid", None, "not-a-choice"), ("on_uncertain", None, "not-a-choice")]),
        (json!({"text": "Hello", "sendAt": 1}), vec![("sendAt", None, "unknown-field"), ("text", None, "unknown-field")]),
        (json!({"message": "", "recipients": ["x"]}), vec![("message", None, "empty"), ("recipients", Some(0), "not-a-number")]),
    ]
}

#[rustfmt::skip]
fn invalid_recipients() -> Vec<(Value, Vec<FieldError<'static>>)> {
    vec![
        (json!({"recipients": null}), vec![("recipients", None, "missing")]),
        (json!({"recipients": [ ]}), vec![("recipients", None, "empty")]),
        (json!({"recipients": GOOD}), vec![("recipients", None, "wrong-type")]),
        (json!({"recipients": {"recipients": [GOOD]}}), vec![("recipients", None, "wrong-type")]),
        (json!({"recipients": [GOOD, 12_012_345_678_u64, null, [GOOD], {}, {"phone": {"phone": GOOD}}]}), vec![
            ("recipients", Some(1), "wrong-type"), ("recipients", Some(2), "wrong-type"), ("recipients", Some(3), "wrong-type"),
            ("recipients", Some(4), "wrong-type"), ("recipients", Some(5), "wrong-type")]),
        (json!({"recipients": ["", "0123", GOOD, {"phone": "+1"}, "+12015550"]}), vec![
            ("recipients", Some(0), "not-a-number"), ("recipients", Some(1), "no-country-code"),
            ("recipients", Some(3), "too-short"), ("recipients", Some(4), "not-valid-for-country")]),
        (json!({"recipients": [{"phone": GOOD, "variables": {"name": "A"}}, {"number": GOOD}]}), vec![
            ("recipients.variables", Some(0), "unknown-field"), ("recipients.number", Some(1), "unknown-field"),
            ("recipients", Some(1), "wrong-type")]),
        (json!({"recipients": [{"phone": GOOD, "var": 1}, "x"], "on_invalid": "skip"}), vec![("recipients.var", Some(0), "unknown-field")]),
        (json!({"recipients": [{"phone": GOOD, "vars": 1}, {"phone": GOOD, "vars": {"name": {}}}]}), vec![
            ("recipients", Some(0), "wrong-variables"), ("recipients", Some(1), "wrong-variables")]),
        (json!({"message": "Dear {{name}}", "recipients": [GOOD]}), vec![("recipients", Some(0), "missing-variable")]),
        (json!({"message": "Dear {{first name}}"}), vec![("message", None, "bad-variable")]),
        (json!({"recipients": ["x", "y"], "on_invalid": "skip"}), vec![("recipients", None, "none-valid")]),
    ]
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_field_of_a_schedule_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    for (change, expected) in invalid_fields().into_iter().chain(invalid_recipients()) {
        let mut body = request();
        body["recipients"] = json!([GOOD]);
        body.as_object_mut()
            .unwrap()
            .extend(change.as_object().unwrap().clone());
        let answer = api.post(&body).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::UNPROCESSABLE_ENTITY, "invalid-request"),
            "{change}"
        );
        assert_eq!(field_errors(&answer.body), expected, "{change}");
        assert_eq!(answer.body["errors_total"], expected.len(), "{change}");
    }
    assert_no_rows(&pool).await;
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_too_long_text_is_refused_with_the_reason(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["message"] = json!(format!("{}ж", "a".repeat(700)));
    body["draft"] = json!(true);
    let answer = api.post(&body).await;
    let detail = answer.body["errors"][0]["detail"].as_str().unwrap();
    assert_eq!(
        detail,
        "expected at most 10 parts; this text takes 11 in UCS-2, forced by the character 'ж'"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn malformed_json_is_reported_with_line_and_column(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let table = [
        ("", "line 1 column 0"),
        ("{\"run_at\":\n  oops}", "line 2 column 3"),
        ("{\"recipients\": [\"+1\",]}", "line 1 column 22"),
        ("{\"message\": \"a\nb\"}", "line 1 column 14"),
        ("{} {}", "line 1 column 4"),
    ];
    for (body, expected) in table {
        let answer = api.send("/v1/schedules", "application/json", body).await;
        assert_eq!(
            (answer.status, answer.problem()),
            (StatusCode::BAD_REQUEST, "malformed-body"),
            "{body}"
        );
        assert!(
            answer.body["detail"].as_str().unwrap().contains(expected),
            "{body}: {}",
            answer.body
        );
    }
    for body in ["[]", "\"x\"", "null", "7"] {
        let answer = api.send("/v1/schedules", "application/json", body).await;
        assert_eq!(
            (answer.status, field_errors(&answer.body)),
            (
                StatusCode::UNPROCESSABLE_ENTITY,
                vec![("", None, "not-an-object")]
            )
        );
    }
    let twice = "{\"draft\": true, \"draft\": true, \"run_at\": \"2000-01-01T00:00:00Z\", \"message\": \"x\"}";
    let answer = api.send("/v1/schedules", "application/json", twice).await;
    assert_eq!(
        field_errors(&answer.body),
        [
            ("draft", None, "given-twice"),
            ("run_at", None, "in-the-past")
        ]
    );
    assert_no_rows(&pool).await;
}

#[rustfmt::skip]
fn unreadable_lists() -> Vec<BadList<'static>> {
    let one = phones(0..1).remove(0);
    let mut cut_short = gzip(phones(0..5_000).join("\n").as_bytes());
    cut_short.truncate(cut_short.len() / 2);
    let mangled = String::from_utf8_lossy(&gzip(one.as_bytes())).into_owned().into_bytes();
    vec![
        ("application/json", "", b"[\"+1\"".to_vec(), 400, "malformed-body", "line 1 column 5"),
        ("application/json", "", b"{\"numbers\": []}".to_vec(), 422, "invalid-request", "`recipients` is missing"),
        ("application/json", "", b"\"+12012000000\"".to_vec(), 422, "invalid-request", "expected an array"),
        ("application/json", "", b"{\"recipients\": \"+12012000000\"}".to_vec(), 422, "invalid-request", "expected an array"),
        ("application/json", "", b"[]".to_vec(), 422, "invalid-request", "at least one entry"),
        ("application/json", "", vec![b'['; 200], 400, "malformed-body", "line 1 column 200"),
        ("application/x-ndjson", "", format!("\"{one}\"\n\n{{\"phone\"").into_bytes(), 400, "malformed-body", "line 3 column 8"),
        ("application/x-ndjson", "", format!("\"{one}\" \"{one}\"").into_bytes(), 400, "malformed-body", "line 1 column 16"),
        ("application/x-ndjson", "", b"\n\n".to_vec(), 422, "invalid-request", "at least one entry"),
        ("text/csv", "", b"name,kontakt\nA,+12012000000".to_vec(), 422, "invalid-request", "has 2 columns"),
        ("text/csv", "", format!("phone,name\n{one},\"A\n{one},B\n").into_bytes(), 400, "malformed-body", "quote that opens at line 2 is not closed"),
        ("text/csv", "", format!("phone,name\n{one},Jos\u{FFFD}\n").into_bytes(), 400, "malformed-body", "line 2, column 17 has the character U+FFFD"),
        ("text/csv", "?charset=windows-1252", one.clone().into_bytes(), 415, "unsupported-content-type", "application/octet-stream"),
        ("text/csv; charset=iso-8859-1", "", one.clone().into_bytes(), 415, "unsupported-content-type", "windows-1252"),
        ("application/octet-stream", "?charset=klingon", one.clone().into_bytes(), 422, "invalid-request", "name of an encoding"),
        ("application/octet-stream", "", format!("phone,name\n{one},Jos\u{FFFD}\n").into_bytes(), 400, "malformed-body", "line 2 has the character U+FFFD"),
        ("application/octet-stream", "", [one.as_bytes(), b",Jos\xE9\n"].concat(), 422, "invalid-request", "has 2 columns"),
        ("application/octet-stream", "", [b"phone\n", one.as_bytes(), b"\xE9\n"].concat(), 422, "invalid-request", "name another encoding with charset"),
        ("text/csv", "", b"phone\n".to_vec(), 422, "invalid-request", "at least one entry"),
        ("application/gzip", "", b"+12012000000".to_vec(), 400, "malformed-body", "1F 8B"),
        ("application/gzip", "", cut_short, 400, "malformed-body", "expected gzip"),
        ("application/gzip", "", mangled.clone(), 400, "malformed-body", "destroyed"),
        ("application/gzip", "?format=xml", gzip(one.as_bytes()), 422, "invalid-request", "json, ndjson, csv"),
        ("application/gzip", "?format=json", gzip(b"[1,"), 400, "malformed-body", "line 1 column 3"),
        ("text/csv", "?format=json", one.clone().into_bytes(), 422, "invalid-request", "expected no `format`, or csv, as the content type says"),
        ("application/gzip", "", gzip(&vec![b'x'; 300_000]), 413, "too-large", "256 KB"),
        ("application/gzip", "", gzip("1\n".repeat(1_000_001).as_bytes()), 413, "too-large", "further calls"),
        ("application/json", "", gzip(one.as_bytes()), 415, "unsupported-content-type", "application/gzip"),
        ("text/csv", "", mangled.clone(), 415, "unsupported-content-type", "application/gzip"),
        ("application/x-ndjson", "", mangled, 415, "unsupported-content-type", "application/gzip"),
        ("text/plain", "", one.clone().into_bytes(), 415, "unsupported-content-type", "text/csv"),
        ("", "", one.clone().into_bytes(), 415, "unsupported-content-type", "application/x-ndjson"),
        ("text/csv", "", vec![b'1'; (6 << 20) + 1], 413, "too-large", "several calls"),
        ("application/gzip", "", vec![0x1F; 4_718_593], 413, "too-large", "several calls"),
        ("text/csv", "?on_invalid=maybe&force=1", one.into_bytes(), 422, "invalid-request", "reject, skip"),
    ]
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_unreadable_list_is_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&[]).await;
    for (content_type, query, body, status, problem, detail) in unreadable_lists() {
        let what = format!(
            "{content_type} {query} {}",
            String::from_utf8_lossy(&body[..body.len().min(40)])
        );
        let answer = api.append(id, query, content_type, body).await;
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (status, problem),
            "{what}: {}",
            answer.body
        );
        assert!(
            answer.body.to_string().contains(detail),
            "{what}: {}",
            answer.body
        );
    }
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM recipients").await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn unknown_routes_and_methods_are_refused(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let unknown = "018f0000-0000-7000-8000-000000000000";
    #[rustfmt::skip]
    let table = [
        ("GET", "/".to_owned(), 404, ""),
        ("GET", "/v1/message".to_owned(), 404, ""),
        ("GET", format!("/v1/schedules/{unknown}"), 404, ""),
        ("GET", "/v1/schedules/1".to_owned(), 404, ""),
        ("POST", format!("/v1/schedules/{unknown}/send-now"), 404, ""),
        ("GET", format!("/v1/schedules/{unknown}/recipients"), 404, ""),
        ("POST", format!("/v1/schedules/{unknown}/cancel"), 404, ""),
        ("DELETE", format!("/v1/schedules/{unknown}"), 405, "GET,HEAD,PATCH"),
        ("PUT", "/v1/schedules".to_owned(), 405, "GET,HEAD,POST"),
        ("POST", "/health".to_owned(), 405, "GET,HEAD"),
        ("GET", format!("/v1/schedules/{unknown}/pause"), 405, "POST"),
    ];
    for (method, path, status, allow) in table {
        let answer = api
            .call(
                Request::builder()
                    .method(method)
                    .uri(&path)
                    .body(Body::empty())
                    .unwrap(),
            )
            .await;
        let problem = if status == 404 {
            "not-found"
        } else {
            "method-not-allowed"
        };
        assert_eq!(
            (answer.status.as_u16(), answer.problem()),
            (status, problem),
            "{method} {path}"
        );
        assert_eq!(
            answer
                .headers
                .get("allow")
                .map_or("", |allow| allow.to_str().unwrap()),
            allow,
            "{method} {path}"
        );
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_query_parameter_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&[]).await;
    let recipients = format!("/v1/schedules/{id}/recipients");
    #[rustfmt::skip]
    let table: Vec<(String, Vec<FieldError>)> = vec![
        ("/v1/schedules?status=sent&limit=0&page=2".to_owned(),
            vec![("status", None, "not-a-choice"), ("limit", None, "out-of-range"), ("page", None, "unknown-field")]),
        ("/v1/schedules?limit=201&cursor=x".to_owned(), vec![("limit", None, "out-of-range"), ("cursor", None, "not-a-cursor")]),
        ("/v1/schedules?limit=5&limit=6".to_owned(), vec![("limit", None, "given-twice")]),
        (format!("{recipients}?status=delivered&limit=100001&cursor=r-1"),
            vec![("status", None, "not-a-choice"), ("limit", None, "out-of-range"), ("cursor", None, "not-a-cursor")]),
    ];
    for (path, expected) in table {
        let answer = api.get(&path).await;
        assert_eq!(
            (answer.status, field_errors(&answer.body)),
            (StatusCode::UNPROCESSABLE_ENTITY, expected),
            "{path}"
        );
    }
}
