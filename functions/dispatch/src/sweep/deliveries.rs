//! TODO header

use chrono::{DateTime, Utc};
use shared::platform::db::Db;
use shared::platform::queue::DeliveryMessage;
use sqlx::types::Uuid;

/// Deliveries that are due, the longest first, at most so many.
pub async fn due_deliveries(
    db: &Db,
    now: DateTime<Utc>,
    most: u32,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    sqlx::query_as!(
        DeliveryMessage,
        r#"SELECT webhook_id AS "webhook_id: Uuid", event_id AS "event_id: Uuid" FROM webhook_deliveries
           WHERE due_at <= ? ORDER BY due_at LIMIT ?"#,
        now,
        most
    )
    .fetch_all(&db.pool)
    .await
}
