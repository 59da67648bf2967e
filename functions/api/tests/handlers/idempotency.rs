//! `Idempotency-Key`: repeated requests, concurrent, changed, after a crash and after 24 hours.

use std::time::Duration;

use crate::common::{Answer, Api, count, phones, request};
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use serde_json::{Value, json};
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;

async fn post(api: &Api, path: &str, key: &str, body: &Value) -> Answer {
    let request = Request::post(path)
        .header("content-type", "application/json")
        .header("idempotency-key", key);
    api.call(request.body(Body::from(body.to_string())).unwrap())
        .await
}

fn schedule() -> Value {
    let mut body = request();
    body["recipients"] = json!(phones(0..3));
    body
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_repeated_request_is_executed_once_and_gets_the_same_answer(pool: MySqlPool) {
    // Two processes, like two Lambda environments.
    let (api, other) = (Api::new(&pool).await, Api::new(&pool).await);
    let other = other.with(&api.token);
    let body = schedule();
    let first = post(&api, "/v1/schedules", "a", &body).await;
    let second = post(&other, "/v1/schedules", "a", &body).await;
    assert_eq!(
        (first.status, second.status),
        (StatusCode::CREATED, StatusCode::CREATED),
        "{}",
        second.body
    );
    assert_eq!(first.body, second.body);
    assert_eq!(
        (
            first.header("location"),
            first.header("idempotency-replayed")
        ),
        (second.header("location"), "")
    );
    assert_eq!(second.header("idempotency-replayed"), "true");
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_belongs_to_one_caller_path_and_body(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let body = schedule();
    let first = post(&api, "/v1/schedules", "a", &body).await;
    assert_eq!(first.status, StatusCode::CREATED);
    let mut changed = body.clone();
    changed["message"] = json!("Other");
    let reused = post(&api, "/v1/schedules", "a", &changed).await;
    assert_eq!(
        (reused.status, reused.problem()),
        (StatusCode::UNPROCESSABLE_ENTITY, "idempotency-key-reused")
    );
    let path = format!("/v1/schedules/{}/pause", first.id());
    assert_eq!(
        post(&api, &path, "a", &json!({})).await.problem(),
        "idempotency-key-reused"
    );
    assert_eq!(
        post(&Api::new(&pool).await, "/v1/schedules", "a", &body)
            .await
            .status,
        StatusCode::CREATED
    );
    assert_eq!(
        post(&api, "/v1/schedules", "b", &body).await.status,
        StatusCode::CREATED
    );
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 3);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_refusal_is_replayed_even_if_its_reason_no_longer_applies(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let body = schedule();
    let first = post(&api, "/v1/schedules", "a", &body).await;
    let [pause, resume] =
        ["pause", "resume"].map(|step| format!("/v1/schedules/{}/{step}", first.id()));
    let refused = post(&api, &resume, "d", &json!({})).await;
    assert_eq!(refused.problem(), "wrong-state");
    let paused = post(&api, &pause, "c", &json!({})).await;
    assert_eq!(paused.status, StatusCode::OK);
    let refused = post(&api, &resume, "d", &json!({})).await;
    assert_eq!(refused.problem(), "wrong-state", "the stored answer");
    let resumed = api.post_step(first.id(), "resume").await;
    assert_eq!(resumed.status, StatusCode::OK);
    let paused = post(&api, &pause, "c", &json!({})).await;
    assert_eq!(paused.body["status"], "paused", "the stored answer");
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_key_is_free_after_24_hours(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let first = post(&api, "/v1/schedules", "a", &schedule()).await;
    assert_eq!(first.status, StatusCode::CREATED);
    api.db.clock.advance(Duration::from_secs(86_401));
    let mut later = schedule();
    later["run_at"] = json!((chrono::Utc::now() + chrono::TimeDelta::days(3)).to_rfc3339());
    assert_eq!(
        post(&api, "/v1/schedules", "a", &later).await.status,
        StatusCode::CREATED,
        "the key is free after 24 hours"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn concurrent_repeats_are_executed_once(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let mut apis = Vec::new();
    for _ in 0..6 {
        apis.push(Api::new(&pool).await.with(&api.token));
    }
    let body = schedule();
    let answers = futures_util::future::join_all(
        apis.iter()
            .map(|api| post(api, "/v1/schedules", "a", &body)),
    )
    .await;
    for answer in &answers {
        let in_progress =
            answer.status == StatusCode::CONFLICT && answer.problem() == "idempotency-in-progress";
        assert!(
            in_progress || answer.status == StatusCode::CREATED,
            "{}",
            answer.body
        );
    }
    assert!(
        answers
            .iter()
            .any(|answer| answer.status == StatusCode::CREATED
                && answer.header("idempotency-replayed").is_empty())
    );
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 1);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_crash_leaves_the_change_either_absent_or_committed(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let body = schedule();
    assert_eq!(
        post(&api, "/v1/schedules", "a", &body).await.status,
        StatusCode::CREATED
    );
    // The process ended before the answer was recorded.
    let forget = "UPDATE idempotency_keys SET status = NULL, body = NULL";
    sqlx::query(forget).execute(&pool).await.unwrap();
    assert_eq!(
        post(&api, "/v1/schedules", "a", &body).await.problem(),
        "idempotency-in-progress",
        "the first attempt may still be running"
    );
    api.db.clock.advance(Duration::from_secs(61));
    let lost = post(&api, "/v1/schedules", "a", &body).await;
    assert_eq!(lost.problem(), "idempotency-answer-lost");
    assert!(
        lost.body["detail"].as_str().unwrap().contains("schedule:"),
        "{}",
        lost.body
    );
    // The process ended before it changed anything.
    sqlx::query("UPDATE idempotency_keys SET resource = NULL")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        post(&api, "/v1/schedules", "a", &body).await.status,
        StatusCode::CREATED
    );
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 2);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn an_overtaken_attempt_commits_nothing(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    // An attempt that takes over while the request runs stores another token.
    let sql = "CREATE TRIGGER overtaken BEFORE INSERT ON schedules FOR EACH ROW UPDATE idempotency_keys SET token = 'another-attempt!'";
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    assert_eq!(
        post(&api, "/v1/schedules", "a", &schedule()).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    assert_eq!(count(&pool, "SELECT COUNT(*) FROM schedules").await, 0);
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_secret_is_returned_once_and_not_stored(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let admin = api.admin().await;
    let body = json!({"name": "n", "permissions": ["schedules:read"]});
    let made = post(&admin, "/v1/api-keys", "a", &body).await;
    assert_eq!(made.status, StatusCode::CREATED);
    let again = post(&admin, "/v1/api-keys", "a", &body).await;
    assert_eq!(
        (again.status, again.problem()),
        (StatusCode::CONFLICT, "idempotency-answer-not-kept")
    );
    assert_eq!(
        count(
            &pool,
            "SELECT COUNT(*) FROM idempotency_keys WHERE body IS NOT NULL"
        )
        .await,
        0
    );
    let wrong = post(&admin, "/v1/api-keys", "b", &json!({})).await;
    assert_eq!(
        wrong.body,
        post(&admin, "/v1/api-keys", "b", &json!({})).await.body,
        "a refusal contains no secret"
    );
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn a_server_error_frees_the_key_and_an_invalid_key_is_reported(pool: MySqlPool) {
    let api = Api::new(&pool).await;
    let sql =
        "CREATE TRIGGER broken BEFORE INSERT ON schedules FOR EACH ROW SIGNAL SQLSTATE '45000'";
    sqlx::raw_sql(sql).execute(&pool).await.unwrap();
    assert_eq!(
        post(&api, "/v1/schedules", "a", &schedule()).await.status,
        StatusCode::INTERNAL_SERVER_ERROR
    );
    sqlx::raw_sql("DROP TRIGGER broken")
        .execute(&pool)
        .await
        .unwrap();
    assert_eq!(
        post(&api, "/v1/schedules", "a", &schedule()).await.status,
        StatusCode::CREATED,
        "the key is forgotten, so another body is accepted"
    );
    for key in ["", "a b", "ü", &"a".repeat(256)] {
        let answer = post(&api, "/v1/schedules", key, &schedule()).await;
        assert_eq!(
            answer.body["errors"][0]["code"], "not-a-key",
            "{key}: {}",
            answer.body
        );
    }
    let twice = Request::post("/v1/schedules")
        .header("idempotency-key", "a")
        .header("idempotency-key", "b");
    assert_eq!(
        api.call(twice.body(Body::empty()).unwrap()).await.body["errors"][0]["code"],
        "not-a-key"
    );
}
