//! `webhooks` and `webhook_labels`, as the API creates, changes and lists them. The statements of
//! posting are in notify.

pub mod deliveries;

use chrono::{DateTime, Utc};
use shared::platform::secret::hash_token;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A row.
#[derive(Clone, Debug, PartialEq, Eq)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Webhook {
    pub id: Uuid,
    pub url: String,
    /// From `selected_events` or `events`.
    pub events: String,
    pub labels: Option<String>,
    pub owner: Option<String>,
    pub is_callback: bool,
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
    pub expires_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub created_by: String,
}

impl Webhook {
    /// Returns the columns `events` and `selected_events`. Of a webhook that gets events of some
    /// schedules only, the first is empty: code that knows no labels and no owners reads only that.
    fn event_columns(&self) -> (&str, Option<&str>) {
        if self.labels.is_some() || self.owner.is_some() {
            ("", Some(&self.events))
        } else {
            (&self.events, None)
        }
    }

    /// Returns the column `callback_hash`.
    fn callback_hash(&self) -> Option<Vec<u8>> {
        self.is_callback.then(|| hash_token(&self.url))
    }
}

/// Counts the webhooks of an owner, or those without one, except callbacks, and locks them, so that
/// no other transaction adds one until this one ends.
pub async fn count_webhooks(
    connection: &mut MySqlConnection,
    owner: Option<&str>,
) -> sqlx::Result<usize> {
    let ids = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM webhooks FORCE INDEX (by_owner)
           WHERE owner <=> ? AND callback_hash IS NULL FOR UPDATE"#,
        owner
    );
    Ok(ids.fetch_all(connection).await?.len())
}

/// Inserts a webhook. Fails with a unique violation if the owner has a callback with this URL.
pub async fn insert_webhook(
    connection: &mut MySqlConnection,
    webhook: &Webhook,
) -> sqlx::Result<()> {
    let (events, selected_events) = webhook.event_columns();
    sqlx::query!(
        "INSERT INTO webhooks (id, url, events, selected_events, labels, owner, callback_hash, expires_at, description, key_id, secret_no,
           created_at, created_by)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        webhook.id,
        webhook.url,
        events,
        selected_events,
        webhook.labels,
        webhook.owner,
        webhook.callback_hash(),
        webhook.expires_at,
        webhook.description,
        webhook.key_id,
        webhook.secret_no,
        webhook.created_at,
        webhook.created_by
    )
    .execute(&mut *connection)
    .await?;
    write_labels(connection, webhook).await
}

/// Writes the rows of the labels of a webhook.
async fn write_labels(connection: &mut MySqlConnection, webhook: &Webhook) -> sqlx::Result<()> {
    sqlx::query!(
        "DELETE FROM webhook_labels WHERE webhook_id = ?",
        webhook.id
    )
    .execute(&mut *connection)
    .await?;
    let Some(labels) = &webhook.labels else {
        return Ok(());
    };
    sqlx::query!(
        "INSERT INTO webhook_labels (webhook_id, label)
         SELECT ?, j.label FROM JSON_TABLE(?, '$[*]' COLUMNS (label VARCHAR(64) PATH '$')) j
         ON DUPLICATE KEY UPDATE label = webhook_labels.label -- equal but for upper and lower case",
        webhook.id,
        labels
    )
    .execute(connection)
    .await
    .map(drop)
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
        r#"SELECT id AS "id: Uuid", url, COALESCE(selected_events, events) AS "events!", labels, owner,
             callback_hash IS NOT NULL AS "is_callback!: bool", description, key_id, secret_no, rotated_at AS "rotated_at: DateTime<Utc>",
             failing_since AS "failing_since: DateTime<Utc>", failures, accepted_at AS "accepted_at: DateTime<Utc>",
             suspended_until AS "suspended_until: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>", disabled_reason,
             expires_at AS "expires_at: DateTime<Utc>", created_at AS "created_at: DateTime<Utc>", created_by
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
        r#"SELECT id AS "id: Uuid", url, COALESCE(selected_events, events) AS "events!", labels, owner,
             callback_hash IS NOT NULL AS "is_callback!: bool", description, key_id, secret_no, rotated_at AS "rotated_at: DateTime<Utc>",
             failing_since AS "failing_since: DateTime<Utc>", failures, accepted_at AS "accepted_at: DateTime<Utc>",
             suspended_until AS "suspended_until: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>", disabled_reason,
             expires_at AS "expires_at: DateTime<Utc>", created_at AS "created_at: DateTime<Utc>", created_by
           FROM webhooks WHERE id > ? ORDER BY id LIMIT ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Returns webhooks of an owner after an id, in the order of their creation.
pub async fn page_of_own_webhooks(
    connection: &mut MySqlConnection,
    owner: &str,
    after: Uuid,
    limit: u32,
) -> sqlx::Result<Vec<Webhook>> {
    sqlx::query_as!(
        Webhook,
        r#"SELECT id AS "id: Uuid", url, COALESCE(selected_events, events) AS "events!", labels, owner,
             callback_hash IS NOT NULL AS "is_callback!: bool", description, key_id, secret_no, rotated_at AS "rotated_at: DateTime<Utc>",
             failing_since AS "failing_since: DateTime<Utc>", failures, accepted_at AS "accepted_at: DateTime<Utc>",
             suspended_until AS "suspended_until: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>", disabled_reason,
             expires_at AS "expires_at: DateTime<Utc>", created_at AS "created_at: DateTime<Utc>", created_by
           FROM webhooks FORCE INDEX (by_owner) WHERE owner = ? AND id > ? ORDER BY id LIMIT ?"#,
        owner,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Writes the columns that a caller may change. Fails with a unique violation if it is a callback,
/// and its owner has another with this URL.
pub async fn change_webhook(
    connection: &mut MySqlConnection,
    webhook: &Webhook,
) -> sqlx::Result<()> {
    let (events, selected_events) = webhook.event_columns();
    sqlx::query!(
        "UPDATE webhooks SET url = ?, events = ?, selected_events = ?, labels = ?, callback_hash = ?, description = ?,
           failing_since = ?, failures = ?, accepted_at = ?, suspended_until = ?, disabled_at = ?, disabled_reason = ? WHERE id = ?",
        webhook.url,
        events,
        selected_events,
        webhook.labels,
        webhook.callback_hash(),
        webhook.description,
        webhook.failing_since,
        webhook.failures,
        webhook.accepted_at,
        webhook.suspended_until,
        webhook.disabled_at,
        webhook.disabled_reason,
        webhook.id
    )
    .execute(&mut *connection)
    .await?;
    write_labels(connection, webhook).await
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
    sqlx::query!("DELETE FROM webhook_labels WHERE webhook_id = ?", id)
        .execute(&mut *connection)
        .await?;
    let done = sqlx::query!("DELETE FROM webhooks WHERE id = ?", id);
    Ok(done.execute(connection).await?.rows_affected() == 1)
}
