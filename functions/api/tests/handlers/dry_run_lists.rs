//! Dry runs of lists that are appended, and of what a schedule has so far.

use axum::http::StatusCode;
use serde_json::{Value, json};
use shared::{access::Permission, platform::db::MIGRATOR};
use sqlx::MySqlPool;
use uuid::Uuid;

use crate::common::{Api, count, gzip, in_seconds, insert_key, phones, request};

const MESSAGE: &str = "Dear {{name}}";

/// Creates a draft with a message.
async fn draft(api: &Api, message: &str) -> Uuid {
    let mut body = request();
    body["draft"] = json!(true);
    body["message"] = json!(message);
    body["default_country"] = json!("MY");
    let created = api.post(&body).await;
    assert_eq!(created.status, StatusCode::CREATED, "{}", created.body);
    created.id()
}

/// Returns the report of the dry run of a draft.
async fn report(api: &Api, id: Uuid) -> Value {
    let answer = api.post_step(id, "dry-run").await;
    assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
    answer.body
}

async fn suppress(api: &Api, phone: &'static str) {
    let added = api.send("/v1/suppressions/import", "text/csv", phone).await;
    assert_eq!(added.body["added"], 1, "{}", added.body);
}

fn assert_members(report: &Value, expected: &Value) {
    for (name, expected) in expected.as_object().unwrap() {
        assert_eq!(&report[name], expected, "{name}: {report}");
    }
}

/// A table of eight rows: a new number, one with a long text, one that is in the list twice, one
/// that is in the schedule, one that has opted out, and two that are invalid.
fn table() -> String {
    let long = "x".repeat(160);
    format!(
        "name;phone\nAna;012-345 6780\nBen {long};60123456781\nCid;0123456782\nCid;+60123456782\nDan;0123456783\nEve;0123456784\n\
         Fay;6.01235E+10\n;0123456785\n"
    )
}

/// Checks the texts of [`table`], and why two of its rows are invalid.
fn assert_texts_and_reasons(report: &Value) {
    let texts = &report["samples"];
    assert_eq!(
        (&texts[0]["phone"], &texts[0]["text"], &texts[0]["parts"]),
        (&json!("+60123456780"), &json!("Dear Ana"), &json!(1))
    );
    assert_eq!(texts.as_array().unwrap().len(), 5);
    assert_eq!(report["longest"]["phone"], "+60123456781");
    let positions: Vec<_> = report["invalid"]
        .as_array()
        .unwrap()
        .iter()
        .map(|entry| (&entry["position"], &entry["code"]))
        .collect();
    assert_eq!(
        positions,
        [
            (&json!(8), &json!("digits-lost")),
            (&json!(9), &json!("missing-variable"))
        ]
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_of_a_list_reports_what_it_would_add(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, MESSAGE).await;
    let first = api
        .append(id, "", "text/csv", "phone,name\n0123456783,Dan\n")
        .await;
    assert_eq!(first.body["accepted"], 1, "{}", first.body);
    suppress(&api, "+60123456784").await;
    let before = count(&pool, "SELECT COUNT(*) FROM audit_log").await;
    for (content_type, body) in [
        ("text/csv", table().into_bytes()),
        ("application/gzip", gzip(table().as_bytes())),
    ] {
        let answer = api
            .append(id, "?dry_run=true&on_invalid=skip", content_type, body)
            .await;
        assert_eq!(answer.status, StatusCode::OK, "{}", answer.body);
        let expected = json!({
            "dry_run": true, "accepted": true, "valid": 4, "suppressed": 1, "duplicates": 2, "duplicates_in_list": 1,
            "duplicates_in_schedule": 1, "invalid_count": 2, "parts_by_count": [{"parts": 1, "messages": 2}, {"parts": 2, "messages": 1}],
            "parts_total": 4, "priority": "normal", "recipients_total": 5,
        });
        assert_members(&answer.body, &expected);
        assert_texts_and_reasons(&answer.body);
    }
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM recipients").await, 1);
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM audit_log").await, before);
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM list_calls").await, 1);
    // The call does what its dry run reports.
    let appended = api
        .append(id, "?on_invalid=skip", "text/csv", table())
        .await;
    assert_members(
        &appended.body,
        &json!({"accepted": 4, "duplicates": 2, "invalid_count": 2, "recipients_total": 5}),
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_of_a_list_is_refused_as_the_call_would_be(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, "Hello").await;
    let lines = "\"+60123456789\"\n{\"phone\": \"x\"}\n";
    let rejected = api
        .append(id, "?dry_run=true", "application/x-ndjson", lines)
        .await;
    assert_members(
        &rejected.body,
        &json!({"accepted": false, "valid": 1, "invalid_count": 1, "longest": null}),
    );
    let samples =
        json!([{"phone": "+60123456789", "text": "Hello", "encoding": "GSM-7", "parts": 1}]);
    assert_eq!(rejected.body["samples"], samples);
    for (query, body, code) in [
        ("?dry_run=true", "[]", "empty"),
        ("?dry_run=yes", "[\"+60123456789\"]", "not-a-choice"),
        (
            "?dry_run=true",
            "[{\"phone\": \"+60123456789\", \"x\": 1}]",
            "unknown-field",
        ),
    ] {
        let answer = api.append(id, query, "application/json", body).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY);
        assert_eq!(answer.body["errors"][0]["code"], code, "{}", answer.body);
    }
    let unknown = api
        .append(Uuid::nil(), "?dry_run=true", "text/csv", "+60123456789")
        .await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    let cancelled = api.post_step(id, "cancel").await;
    assert_eq!(cancelled.status, StatusCode::OK);
    let answer = api
        .append(id, "?dry_run=true", "text/csv", "+60123456789")
        .await;
    assert_eq!(answer.problem(), "schedule-begun");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_of_a_draft_reports_what_it_would_send(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, MESSAGE).await;
    let empty = report(&api, id).await;
    assert_members(
        &empty,
        &json!({"accepted": false, "examined": 0, "is_sample": false, "parts_by_count": [], "samples": [], "longest": null,
            "parts_total": 0, "limited_by": null}),
    );
    api.append(id, "?on_invalid=skip", "text/csv", table())
        .await;
    suppress(&api, "+60123456784").await;
    let expected = json!({
        "dry_run": true, "accepted": true, "recipients": {"total": 5, "invalid": 2, "duplicates": 1}, "examined": 5, "is_sample": false,
        "suppressed": 1, "parts_by_count": [{"parts": 1, "messages": 3}, {"parts": 2, "messages": 1}], "parts_total": 5, "requests": 4,
        "priority": "normal", "not_sent_in_time": 0,
    });
    let shown = report(&api, id).await;
    assert_members(&shown, &expected);
    assert_eq!(shown["longest"]["phone"], "+60123456781");
    assert_eq!(shown["samples"][0]["text"], "Dear Ana");
    for member in ["planned_start", "planned_end"] {
        assert!(shown[member].is_string(), "{member}: {shown}");
    }
    // A schedule that waits is forecast once, not beside itself.
    api.post_step(id, "activate").await;
    let scheduled = report(&api, id).await;
    assert_members(&scheduled, &expected);
    assert_eq!(scheduled["duration_s"], shown["duration_s"]);
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM recipients").await, 7);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_of_a_draft_of_one_text_counts_its_parts(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut body = request();
    body["draft"] = json!(true);
    body["rate"] = json!(10);
    body["message"] = json!("x".repeat(161));
    body["recipients"] = json!(phones(0..250));
    let id = api.post(&body).await.id();
    let shown = report(&api, id).await;
    assert_members(
        &shown,
        &json!({"examined": 250, "parts_by_count": [{"parts": 2, "messages": 250}], "parts_total": 500, "requests": 3, "duration_s": 25.0,
            "limited_by": "rate", "longest": null}),
    );
    assert_eq!(shown["samples"].as_array().unwrap().len(), 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn cancelled_recipients_are_not_in_the_dry_run_of_a_draft(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, "Hi").await;
    let list = phones(0..5).join("\n");
    api.append(id, "", "text/csv", list).await;
    let path = format!("/v1/schedules/{id}/recipients/cancel");
    let two = json!({"recipients": [{"seq": 1}, {"seq": 4}]});
    let cancelled = api.post_json(&path, &two).await;
    assert_eq!(cancelled.body["in_time"], 2, "{}", cancelled.body);
    let expected =
        json!({"examined": 3, "parts_total": 3, "parts_by_count": [{"parts": 1, "messages": 3}]});
    assert_members(&report(&api, id).await, &expected);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_part_of_a_long_draft_is_examined(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = draft(&api, MESSAGE).await;
    for first in [0, 100_000] {
        let row = |phone: String| format!("{phone},{}\n", if first == 0 { "A" } else { "Ж" });
        let table: String = phones(first..first + 100_000)
            .into_iter()
            .map(row)
            .collect();
        let table = gzip(format!("phone,name\n{table}").as_bytes());
        let answer = api.append(id, "", "application/gzip", table).await;
        assert_eq!(answer.body["accepted"], 100_000, "{}", answer.body);
    }
    let shown = report(&api, id).await;
    assert_members(
        &shown,
        &json!({"examined": 100_000, "is_sample": true, "parts_by_count": [{"parts": 1, "messages": 100_000}], "parts_total": 200_000,
            "recipients": {"total": 200_000, "invalid": 0, "duplicates": 0}, "priority": "bulk"}),
    );
    assert_eq!(
        (&shown["longest"]["encoding"], &shown["samples"][0]["text"]),
        (&json!("GSM-7"), &json!("Dear A"))
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_dry_run_of_a_schedule_is_refused_after_it_began(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let id = api.schedule(&phones(0..2)).await;
    api.post_step(id, "pause").await;
    let paused = api.post_step(id, "dry-run").await;
    assert_eq!(
        (paused.status, paused.problem()),
        (StatusCode::CONFLICT, "schedule-begun")
    );
    let unknown = api.post_step(Uuid::nil(), "dry-run").await;
    assert_eq!(unknown.status, StatusCode::NOT_FOUND);
    // It shows numbers and texts, so that a key that may only write does not get them.
    let writer = insert_key(&pool, &[Permission::SchedulesWrite], None).await;
    let refused = api.with(&writer).post_step(id, "dry-run").await;
    assert_eq!(refused.status, StatusCode::FORBIDDEN);
    // A time that has passed cannot be met.
    let late = draft(&api, "Hello").await;
    api.append(late, "", "text/csv", "0123456789").await;
    sqlx::query("UPDATE schedules SET run_at = UTC_TIMESTAMP(3) - INTERVAL 1 HOUR WHERE id = ?")
        .bind(late)
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(report(&api, late).await["accepted"], false);
    let moved = api.patch(late, &json!({"run_at": in_seconds(3_600)})).await;
    assert_eq!(moved.status, StatusCode::OK, "{}", moved.body);
    assert_eq!(report(&api, late).await["accepted"], true);
}
