//! `webhooks`, and `webhook_deliveries` as people see them: made, changed, looked at, asked for again. What a delivery goes through on its
//! way is not here.

use chrono::{DateTime, Utc};
use schemars::JsonSchema;
use serde::Serialize;
use serde_json::json;
use shared::{events::EventType, platform::queue::DeliveryMessage};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A whole row.
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
    pub disabled_at: Option<DateTime<Utc>>,
    pub disabled_reason: Option<String>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

/// How many there are; until the transaction ends nobody else adds one.
pub async fn count_webhooks(connection: &mut MySqlConnection) -> sqlx::Result<usize> {
    let ids = sqlx::query_scalar!(r#"SELECT id AS "id: Uuid" FROM webhooks FOR UPDATE"#);
    Ok(ids.fetch_all(connection).await?.len())
}

/// Adds a webhook.
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

/// A webhook by its id.
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

/// A webhook that nobody else changes until the transaction ends.
pub async fn lock_webhook(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Webhook>> {
    sqlx::query_as!(
        Webhook,
        r#"SELECT id AS "id: Uuid", url, events, description, key_id, secret_no, rotated_at AS "rotated_at: DateTime<Utc>",
             failing_since AS "failing_since: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>", disabled_reason,
             created_at AS "created_at: DateTime<Utc>", created_by
           FROM webhooks WHERE id = ? FOR UPDATE"#,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Webhooks after that id, in the order of their making.
pub async fn page_of_webhooks(
    connection: &mut MySqlConnection,
    after: Uuid,
    limit: u32,
) -> sqlx::Result<Vec<Webhook>> {
    sqlx::query_as!(
        Webhook,
        r#"SELECT id AS "id: Uuid", url, events, description, key_id, secret_no, rotated_at AS "rotated_at: DateTime<Utc>",
             failing_since AS "failing_since: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>", disabled_reason,
             created_at AS "created_at: DateTime<Utc>", created_by
           FROM webhooks WHERE id > ? ORDER BY id LIMIT ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Writes what a person may change.
pub async fn change_webhook(
    connection: &mut MySqlConnection,
    webhook: &Webhook,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET url = ?, events = ?, description = ?, failing_since = ?, disabled_at = ?, disabled_reason = ? WHERE id = ?",
        webhook.url,
        webhook.events,
        webhook.description,
        webhook.failing_since,
        webhook.disabled_at,
        webhook.disabled_reason,
        webhook.id
    );
    done.execute(connection).await.map(drop)
}

/// Makes the next secret the one that signs; false: another call has done so since `seen` was read, or the webhook is gone.
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

/// Removes a webhook; whether it was there. Its deliveries are nobody's then: nothing is posted without the webhook's row.
pub async fn delete_webhook(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<bool> {
    Ok(sqlx::query!("DELETE FROM webhooks WHERE id = ?", id)
        .execute(connection)
        .await?
        .rows_affected()
        == 1)
}

/// Removes deliveries of a webhook, at most `most`; how many.
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

/// What became of an event on its way to a webhook.
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

/// Which deliveries are wanted; every `None` is no condition.
#[derive(Clone, Copy, Debug, Default)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct DeliveryFilter {
    pub status: Option<&'static str>,
    pub r#type: Option<&'static str>,
}

/// Adds a delivery of a test, due at once.
pub async fn insert_test(
    connection: &mut MySqlConnection,
    (webhook_id, event_id): (Uuid, Uuid),
    data: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO webhook_deliveries (webhook_id, event_id, type, data, due_at, created_at) VALUES (?, ?, 'webhook.test', ?, ?, ?)",
        webhook_id,
        event_id,
        data,
        now,
        now
    );
    done.execute(connection).await.map(drop)
}

/// Deliveries of a webhook before that event, newest first.
pub async fn page_of_deliveries(
    connection: &mut MySqlConnection,
    webhook_id: Uuid,
    filter: DeliveryFilter,
    (before, limit): (Uuid, u32),
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
        before,
        filter.status,
        filter.status,
        filter.r#type,
        filter.r#type,
        limit
    )
    .fetch_all(connection)
    .await
}

/// One delivery.
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

/// Makes a delivery due as if it had never been tried, whatever became of it; whether it is there.
pub async fn repeat_delivery(
    connection: &mut MySqlConnection,
    (webhook_id, event_id): (Uuid, Uuid),
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET status = 'pending', tries = 0, due_at = ? WHERE webhook_id = ? AND event_id = ?",
        now,
        webhook_id,
        event_id
    );
    Ok(done.execute(connection).await?.rows_affected() == 1)
}

/// The first deliveries of a webhook that failed, from that event on; nobody else changes them until the transaction ends.
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

/// [`repeat_delivery`] of all that failed from the first to the last of these events.
pub async fn repeat_failed(
    connection: &mut MySqlConnection,
    webhook_id: Uuid,
    (first, last): (Uuid, Uuid),
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE webhook_deliveries SET status = 'pending', tries = 0, due_at = ?
         WHERE webhook_id = ? AND event_id BETWEEN ? AND ? AND status = 'failed'",
        now,
        webhook_id,
        first,
        last
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// Deliveries that dead letters name, and that are not over, are due now. Returns how many those are.
pub async fn deliver_soon(
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
