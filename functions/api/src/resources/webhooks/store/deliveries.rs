//! `webhook_deliveries`, as the API lists them and makes them due again. The statements of posting
//! are in notify.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{events::EventType, platform::queue::DeliveryMessage};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::http::page::PageRequest;

/// Deletes deliveries of a webhook, at most `most`. Returns how many.
pub async fn delete_deliveries(
    connection: &mut MySqlConnection,
    webhook_id: Uuid,
    most: u32,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "DELETE FROM webhook_deliveries WHERE webhook_id = ? ORDER BY event_id LIMIT ?",
        webhook_id,
        most
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// The delivery of an event to a webhook.
#[derive(Clone, Debug, PartialEq, Eq, JsonSchema, Serialize)]
#[schemars(rename = "Delivery")]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct DeliveryRow {
    pub event_id: Uuid,
    #[schemars(with = "EventType")]
    pub r#type: String,
    pub schedule_id: Option<Uuid>,
    #[schemars(extend("enum" = ["pending", "delivered", "failed"]))]
    pub status: String,
    pub tries: u32,
    pub due_at: Option<DateTime<Utc>>,
    pub tried_at: Option<DateTime<Utc>>,
    pub http_status: Option<u16>,
    pub error: Option<String>,
    pub created_at: DateTime<Utc>,
}

/// Selects deliveries; `None` is no condition.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct DeliveryFilter {
    pub status: Option<&'static str>,
    pub r#type: Option<&'static str>,
}

/// Inserts the delivery of a test event, due at once.
pub async fn insert_test(
    connection: &mut MySqlConnection,
    delivery: DeliveryMessage,
    data: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, type, data, due_at, created_at) VALUES (?, ?, 'webhook.test', ?, ?, ?)",
        delivery.webhook_id,
        delivery.event_id,
        data,
        now,
        now
    );
    done.execute(connection).await.map(drop)
}

/// Returns deliveries of a webhook before an event, newest first.
pub async fn page_of_deliveries(
    connection: &mut MySqlConnection,
    webhook_id: Uuid,
    filter: DeliveryFilter,
    page: PageRequest<Uuid>,
) -> sqlx::Result<Vec<DeliveryRow>> {
    sqlx::query_as!(
        DeliveryRow,
        r#"SELECT event_id AS "event_id: Uuid", type AS "type", schedule_id AS "schedule_id: Uuid", status, tries,
             due_at AS "due_at: DateTime<Utc>", tried_at AS "tried_at: DateTime<Utc>", http_status, error,
             created_at AS "created_at: DateTime<Utc>"
           FROM webhook_deliveries
           WHERE webhook_id = ? AND event_id < ? AND (? IS NULL OR status = ?) AND (? IS NULL OR type = ?)
           ORDER BY event_id DESC LIMIT ?"#,
        webhook_id,
        page.after,
        filter.status,
        filter.status,
        filter.r#type,
        filter.r#type,
        page.limit
    )
    .fetch_all(connection)
    .await
}

/// Returns one delivery.
pub async fn load_delivery(
    connection: &mut MySqlConnection,
    webhook_id: Uuid,
    event_id: Uuid,
) -> sqlx::Result<Option<DeliveryRow>> {
    sqlx::query_as!(
        DeliveryRow,
        r#"SELECT event_id AS "event_id: Uuid", type AS "type", schedule_id AS "schedule_id: Uuid", status, tries,
             due_at AS "due_at: DateTime<Utc>", tried_at AS "tried_at: DateTime<Utc>", http_status, error,
             created_at AS "created_at: DateTime<Utc>"
           FROM webhook_deliveries WHERE webhook_id = ? AND event_id = ?"#,
        webhook_id,
        event_id
    )
    .fetch_optional(connection)
    .await
}

/// Makes a delivery due as if it had never been tried, regardless of its state. Returns whether it
/// exists.
pub async fn repeat_delivery(
    connection: &mut MySqlConnection,
    delivery: DeliveryMessage,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET status = 'pending', tries = 0, due_at = ? WHERE webhook_id = ? AND event_id = ?",
        now,
        delivery.webhook_id,
        delivery.event_id
    );
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// Returns the first failed deliveries of a webhook, from an event on, and locks them against
/// changes until the transaction ends.
pub async fn lock_failed(
    connection: &mut MySqlConnection,
    webhook_id: Uuid,
    from: Uuid,
    most: u32,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"SELECT event_id AS "event_id: Uuid" FROM webhook_deliveries
           WHERE webhook_id = ? AND event_id >= ? AND status = 'failed' ORDER BY event_id LIMIT ? FOR UPDATE"#,
        webhook_id,
        from,
        most
    )
    .fetch_all(connection)
    .await
}

/// Does the same as [`repeat_delivery`] for all failed deliveries in a range of events. Returns how
/// many there were.
pub async fn repeat_failed(
    connection: &mut MySqlConnection,
    webhook_id: Uuid,
    events: RangeInclusive<Uuid>,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET status = 'pending', tries = 0, due_at = ?
         WHERE webhook_id = ? AND event_id BETWEEN ? AND ? AND status = 'failed'",
        now,
        webhook_id,
        events.start(),
        events.end()
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// Makes the deliveries that dead letters name due now, if they are pending. Returns how many there
/// were.
pub async fn make_deliveries_due(
    connection: &mut MySqlConnection,
    deliveries: &[DeliveryMessage],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let names = deliveries.iter().map(|named| {
        (
            named.webhook_id.simple().to_string(),
            named.event_id.simple().to_string(),
        )
    });
    let names: Vec<_> = names.collect();
    let done = sqlx::query!(
        "UPDATE webhook_deliveries d JOIN (
           SELECT DISTINCT named.webhook, named.event FROM JSON_TABLE(?, '$[*]' COLUMNS (webhook CHAR(32) PATH '$[0]',
             event CHAR(32) PATH '$[1]')) named) n
         SET d.due_at = LEAST(d.due_at, ?)
         WHERE d.webhook_id = UNHEX(n.webhook) AND d.event_id = UNHEX(n.event) AND d.status = 'pending'",
        json!(names).to_string(),
        now
    );
    Ok(done.execute(connection).await?.rows_affected())
}
