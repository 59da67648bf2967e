//! Resolutions of uncertain messages, and their counts.

use axum::http::StatusCode;
use serde_json::{Value, json};
use sqlx::MySqlPool;
use uuid::Uuid;

use super::{Answer, Api};

/// Resolves uncertain messages of a schedule.
pub async fn resolve(api: &Api, id: Uuid, body: &Value) -> Answer {
    api.post_json(&format!("/v1/schedules/{id}/uncertain"), body)
        .await
}

/// Returns `changed`, then `busy`, `too_recent`, `not_uncertain`, `not_found`.
pub fn tally(answer: &Answer) -> [u64; 5] {
    assert_eq!(
        (answer.status, &answer.body["more"]),
        (StatusCode::OK, &json!(false)),
        "{}",
        answer.body
    );
    let left = |reason: &str| answer.body["left"][reason].as_u64().unwrap();
    let changed = answer.body["changed"].as_u64().unwrap();
    [
        changed,
        left("busy"),
        left("too_recent"),
        left("not_uncertain"),
        left("not_found"),
    ]
}

/// Returns the stored attempts as lines: `seq attempt STATUS id error`.
pub async fn attempts(pool: &MySqlPool, id: Uuid) -> Vec<String> {
    let sql = "SELECT CONCAT_WS(' ', seq, attempt, status, message_id, error) FROM attempts WHERE schedule_id = ? ORDER BY seq";
    sqlx::query_scalar(sql)
        .bind(id)
        .fetch_all(pool)
        .await
        .unwrap()
}
