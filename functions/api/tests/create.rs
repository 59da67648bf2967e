//! A schedule posted with its recipients: rows, duplicates, invalid entries, word to dispatch.
#![allow(missing_docs, clippy::unwrap_used)]

mod common;

use axum::http::StatusCode;
use chrono::{DateTime, Utc};
use common::{Api, in_seconds};
use serde_json::json;
use shared::db::MIGRATOR;
use sqlx::MySqlPool;

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_schedule_is_posted_and_shown(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let run_at = "2026-12-01T09:30:00.250+08:00";
    let run_at = if DateTime::parse_from_rfc3339(run_at).unwrap() > Utc::now() { run_at.to_owned() } else { in_seconds(3_600) };
    let answer = api
        .post(&json!({
            "run_at": run_at, "message": "Grüße aus 東京", "sender": "Acme 1", "rate": 20, "max_attempts": 1,
            "max_lateness_s": 60, "resend_within_s": 0, "on_uncertain": "resend",
            "recipients": ["+60123456789", {"phone": "+60 12-345 6780"}, "+60123456789", "+60123456780"],
        }))
        .await;
    assert_eq!(answer.status, StatusCode::CREATED, "{}", answer.body);
    assert_eq!(answer.headers["location"], format!("/v1/schedules/{}", answer.id()).as_str());
    let body = &answer.body;
    assert_eq!(
        (DateTime::parse_from_rfc3339(body["run_at"].as_str().unwrap())), DateTime::parse_from_rfc3339(&run_at)
    );
    assert_eq!(body["run_at"].as_str().unwrap()[19..], run_at[19..].to_owned());
    assert_eq!(body["recipients"], json!({"total": 2, "invalid": 0, "duplicates": 2}));
    assert_eq!((&body["status"], &body["encoding"], &body["parts"]), (&json!("scheduled"), &json!("UCS-2"), &json!(1)));
    assert_eq!((&body["counts"]["PENDING"], body["counts"].as_object().unwrap().len()), (&json!(2), 14));
    assert_eq!(body["invalid"], json!([]));
    let shown = api.get(&format!("/v1/schedules/{}", answer.id())).await;
    assert_eq!(shown.status, StatusCode::OK);
    for (name, value) in shown.body.as_object().unwrap() {
        assert_eq!(Some(value), body.get(name), "{name}");
    }
    let listed = api.get(&format!("/v1/schedules/{}/recipients", answer.id())).await;
    let listed: Vec<_> = listed.body["recipients"].as_array().unwrap().iter().map(|row| (&row["seq"], &row["phone"])).collect();
    assert_eq!(listed, [(&json!(1), &json!("+60123456789")), (&json!(2), &json!("+60123456780"))]);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn health_says_what_answers(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let answer = api.get("/health").await;
    let expected = json!({"status": "ok", "version": env!("CARGO_PKG_VERSION"), "commit": "c0ffee", "database": "ok"});
    assert_eq!((answer.status, &answer.body), (StatusCode::OK, &expected));
    api.db.pool.close().await;
    let answer = api.get("/health").await;
    assert_eq!((answer.status, answer.problem()), (StatusCode::SERVICE_UNAVAILABLE, "unavailable"));
    assert_eq!((&answer.body["commit"], &answer.body["database"]), (&json!("c0ffee"), &json!("unavailable")));
}
