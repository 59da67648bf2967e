//! Webhooks and their deliveries.

use api::resources::audit::store::first_id;
use axum::{
    body::Body,
    http::{Request, StatusCode},
};
use chrono::{DateTime, TimeDelta, Utc};
use serde_json::{Value, json};
use shared::events::secret::WebhookKeys;
use sqlx::MySqlPool;
use testkit::WEBHOOK_KEYS;
use uuid::Uuid;

use super::{Answer, Api};

pub const EVENTS: [&str; 2] = ["schedule.finished", "messages.final"];

impl Api {
    /// Creates a webhook. `self` is an administrator.
    pub async fn webhook(&self) -> Uuid {
        let wanted = json!({"url": "https://example.com/hook?token=hunter2", "events": EVENTS});
        let made = self.post_json("/v1/webhooks", &wanted).await;
        assert_eq!(made.status, StatusCode::CREATED, "{}", made.body);
        made.id()
    }

    pub async fn patch_webhook(&self, id: Uuid, body: &Value) -> Answer {
        let request =
            Request::patch(format!("/v1/webhooks/{id}")).header("content-type", "application/json");
        self.call(request.body(Body::from(body.to_string())).unwrap())
            .await
    }

    pub async fn delete_webhook(&self, id: Uuid) -> Answer {
        self.call(
            Request::delete(format!("/v1/webhooks/{id}"))
                .body(Body::empty())
                .unwrap(),
        )
        .await
    }

    /// Posts to `test`, `rotate-secret` or `deliveries/…/repeat`, optionally with an
    /// `Idempotency-Key`.
    pub async fn call_webhook(&self, id: Uuid, call: &str, key: Option<&str>) -> Answer {
        let mut request = Request::post(format!("/v1/webhooks/{id}/{call}"));
        if let Some(key) = key {
            request = request.header("idempotency-key", key);
        }
        self.call(request.body(Body::empty()).unwrap()).await
    }
}

/// Derives the secret of a webhook.
pub fn secret(id: Uuid, no: u32) -> String {
    WebhookKeys::read(WEBHOOK_KEYS)
        .unwrap()
        .secret("test", id, no)
        .unwrap()
        .reveal()
}

/// Returns the event id of the n-th minute before now.
pub fn event(now: DateTime<Utc>, minutes_ago: i64) -> Uuid {
    first_id(now - TimeDelta::minutes(minutes_ago))
}

/// Inserts deliveries as notify leaves them after three tries, one per minute up to now. Returns
/// their event ids, oldest first.
pub async fn deliveries(
    pool: &MySqlPool,
    webhook: Uuid,
    now: DateTime<Utc>,
    statuses: &[&str],
) -> Vec<Uuid> {
    let events: Vec<_> = (0..statuses.len())
        .map(|n| event(now, (statuses.len() - 1 - n) as i64))
        .collect();
    let rows: Vec<_> = events
        .iter()
        .zip(statuses)
        .map(|(event, status)| (event.simple().to_string(), status))
        .collect();
    let sql = "INSERT INTO webhook_deliveries (webhook_id, event_id, type, schedule_id, data, status, tries, due_at, tried_at, http_status, created_at)
        SELECT ?, UNHEX(j.event), IF(j.status = 'failed', 'schedule.missed', 'schedule.finished'), ?, '{}', j.status, 3,
          IF(j.status = 'pending', ? + INTERVAL 1 HOUR, NULL), ?, 500, ?
        FROM JSON_TABLE(?, '$[*]' COLUMNS (event CHAR(32) PATH '$[0]', status VARCHAR(10) PATH '$[1]')) j";
    let insert = sqlx::query(sql)
        .bind(webhook)
        .bind(Uuid::nil())
        .bind(now)
        .bind(now)
        .bind(now);
    insert
        .bind(json!(rows).to_string())
        .execute(pool)
        .await
        .unwrap();
    events
}
