//! The list of the deliveries of a webhook: order, filters and invalid parameters.

use crate::common::{Api, walk, webhooks::deliveries};
use axum::http::StatusCode;
use chrono::Utc;
use serde_json::json;
use shared::platform::db::MIGRATOR;
use sqlx::MySqlPool;
use uuid::Uuid;

#[rustfmt::skip]
const STATUSES: [&str; 7] = ["delivered", "failed", "pending", "failed", "delivered", "failed", "failed"];

/// Creates two webhooks with deliveries. Returns the first, and its event ids newest first.
async fn webhook_with_deliveries(admin: &Api, pool: &MySqlPool) -> (Uuid, Vec<Uuid>) {
    let (id, other) = (admin.webhook().await, admin.webhook().await);
    let now = Utc::now();
    deliveries(pool, other, now, &["failed"; 5]).await;
    let mut events = deliveries(pool, id, now, &STATUSES).await;
    events.reverse();
    (id, events)
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn deliveries_are_listed_newest_first(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (id, events) = webhook_with_deliveries(&admin, &pool).await;
    let events: Vec<_> = events.iter().map(|event| json!(event)).collect();
    for limit in [1, 3, 7, 50] {
        let path = format!("/v1/webhooks/{id}/deliveries?limit={limit}");
        let walked = walk(&admin, &path, "deliveries", "event_id").await;
        assert_eq!(walked, events, "{limit}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn deliveries_are_filtered_by_status_and_type(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let (id, _) = webhook_with_deliveries(&admin, &pool).await;
    for (filter, expected) in [
        ("limit=2&status=failed", 4),
        ("limit=2&status=pending", 1),
        ("limit=2&type=schedule.missed", 4),
        ("limit=2&type=webhook.test", 0),
        ("status=failed&type=schedule.finished", 0),
    ] {
        let path = format!("/v1/webhooks/{id}/deliveries?{filter}");
        let walked = walk(&admin, &path, "deliveries", "type").await;
        assert_eq!(walked.len(), expected, "{filter}");
    }
}

#[sqlx::test(migrator = "MIGRATOR")]
async fn each_invalid_parameter_of_the_delivery_list_is_reported(pool: MySqlPool) {
    let admin = Api::new(&pool).await.admin().await;
    let id = admin.webhook().await;
    for (query, field, code) in [
        ("status=lost", "status", "not-a-choice"),
        ("type=*", "type", "not-a-choice"),
        ("limit=201", "limit", "out-of-range"),
        ("cursor=1", "cursor", "not-a-cursor"),
        ("from=2030-01-01", "from", "unknown-field"),
    ] {
        let path = format!("/v1/webhooks/{id}/deliveries?{query}");
        let answer = admin.get(&path).await;
        assert_eq!(answer.status, StatusCode::UNPROCESSABLE_ENTITY, "{query}");
        assert_eq!(
            (
                &answer.body["errors"][0]["field"],
                &answer.body["errors"][0]["code"]
            ),
            (&json!(field), &json!(code)),
            "{query}"
        );
    }
}
