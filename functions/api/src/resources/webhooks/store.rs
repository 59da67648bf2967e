//! `webhooks` and `webhook_deliveries`, as the API creates, changes and lists them, and makes
//! deliveries due again. The statements of posting are in notify.

use std::ops::RangeInclusive;

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{events::EventType, platform::queue::DeliveryMessage};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::http::page::PageRequest;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Webhook {
    pub id: Uuid,
    pub url: String,
    pub events: String,
    pub description: Option<String>,
    pub key_id: String,
    pub secret_no: u32,
    pub rotated_at: Option<DateTime<Utc>>,
    pub failing_since: Option<DateTime<Utc>>,
    pub failures: u32,
    pub accepted_at: Option<DateTime<Utc>>,
    pub suspended_until: Option<DateTime<Utc>>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub disabled_reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// Counts webhooks, and locks them, so that no other transaction adds one until this one ends.
pub async fn count_webhooks(connection: &mut MySqlConnection) -> sqlx::Result<usize> {
    let ids = sqlx::query_scalar!(r#"SELECT id AS "id: Uuid" FROM webhooks FOR UPDATE"#);
    Ok(ids.fetch_all(connection).await?.len())
}

/// Inserts a webhook.
pub async fn insert_webhook(
    connection: &mut MySqlConnection,
    webhook: &Webhook,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO webhooks (id, url, events, description, key_id, secret_no, created_at, created_by) VALUES (?, ?, ?, ?, ?, ?, ?, ?)",
        webhook.id,
        webhook.url,
        webhook.events,
        webhook.description,
        webhook.key_id,
        webhook.secret_no,
        webhook.created_at,
        webhook.created_by
    );
    done.execute(connection).await.map(drop)
}

/// Returns a webhook by its id.
pub async fn load_webhook(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Webhook>> {
    let after = Uuid::from_u128(id.as_u128().saturating_sub(1));
    Ok(page_of_webhooks(connection, after, 1)
        .await?
        .pop()
        .filter(|webhook| webhook.id == id))
}

/// Returns a webhook, and locks it against changes until the transaction ends.
pub async fn lock_webhook(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Webhook>> {
    sqlx::query_as!(
        Webhook,
        r#"SELECT id AS "id: Uuid", url, events, description, key_id, secret_no, rotated_at AS "rotated_at: DateTime<Utc>",
             failing_since AS "failing_since: DateTime<Utc>", failures, accepted_at AS "accepted_at: DateTime<Utc>",
             suspended_until AS "suspended_until: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>", disabled_reason,
             created_at AS "created_at: DateTime<Utc>", created_by
           FROM webhooks WHERE id = ? FOR UPDATE"#,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Returns webhooks after an id, in the order of their creation.
pub async fn page_of_webhooks(
    connection: &mut MySqlConnection,
    after: Uuid,
    limit: u32,
) -> sqlx::Result<Vec<Webhook>> {
    sqlx::query_as!(
        Webhook,
        r#"SELECT id AS "id: Uuid", url, events, description, key_id, secret_no, rotated_at AS "rotated_at: DateTime<Utc>",
             failing_since AS "failing_since: DateTime<Utc>", failures, accepted_at AS "accepted_at: DateTime<Utc>",
             suspended_until AS "suspended_until: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>", disabled_reason,
             created_at AS "created_at: DateTime<Utc>", created_by
           FROM webhooks WHERE id > ? ORDER BY id LIMIT ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Writes the columns that an operator may change.
pub async fn change_webhook(
    connection: &mut MySqlConnection,
    webhook: &Webhook,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET url = ?, events = ?, description = ?, failing_since = ?, failures = ?, accepted_at = ?, suspended_until = ?,
           disabled_at = ?, disabled_reason = ? WHERE id = ?",
        webhook.url,
        webhook.events,
        webhook.description,
        webhook.failing_since,
        webhook.failures,
        webhook.accepted_at,
        webhook.suspended_until,
        webhook.disabled_at,
        webhook.disabled_reason,
        webhook.id
    );
    done.execute(connection).await.map(drop)
}

/// Ends the suspension of a webhook, if any: the next post is the probe that closes or opens its
/// circuit.
pub async fn end_suspension(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET suspended_until = ? WHERE id = ? AND suspended_until > ?",
        now,
        id,
        now
    );
    done.execute(connection).await.map(drop)
}

/// Makes the next secret the one that signs. Returns false if another call has done so since `seen`
/// was read, or if the webhook is gone.
pub async fn rotate_secret(
    connection: &mut MySqlConnection,
    seen: &Webhook,
    key_id: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhooks SET key_id = ?, secret_no = secret_no + 1, rotated_at = ? WHERE id = ? AND secret_no = ?",
        key_id,
        now,
        seen.id,
        seen.secret_no
    );
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// Deletes a webhook. Returns whether it existed. Its deliveries are never posted then, because
/// posting needs the webhook's row.
pub async fn delete_webhook(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<bool> {
    Ok(sqlx::query!("DELETE FROM webhooks WHERE id = ?", id)
        .execute(connection)
        .await?
        .rows_affected()
        == 1)
}

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
