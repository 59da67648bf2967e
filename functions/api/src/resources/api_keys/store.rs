//! `api_keys` and `key_days`: keys with which machines call the API, and the part of the daily
//! allowance that each has used.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::auth::store::ApiKey;

/// Inserts a key.
pub async fn insert_api_key(
    connection: &mut MySqlConnection,
    key: &ApiKey,
    hash: &[u8],
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO api_keys (id, name, prefix, hash, permissions, messages_per_day, created_by, created_at, expires_at)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        key.id,
        key.name,
        key.prefix,
        hash,
        key.permissions,
        key.messages_per_day,
        key.created_by,
        key.created_at,
        key.expires_at
    );
    done.execute(connection).await.map(drop)
}

/// Returns a key by its id.
pub async fn load_api_key(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<ApiKey>> {
    let after = Uuid::from_u128(id.as_u128().saturating_sub(1));
    Ok(page_of_api_keys(connection, after, 1)
        .await?
        .pop()
        .filter(|key| key.id == id))
}

/// Returns keys after an id, in the order of their creation.
pub async fn page_of_api_keys(
    connection: &mut MySqlConnection,
    after: Uuid,
    limit: u32,
) -> sqlx::Result<Vec<ApiKey>> {
    sqlx::query_as!(
        ApiKey,
        r#"SELECT k.id AS "id: Uuid", k.name, k.prefix AS "prefix: String", k.permissions, k.messages_per_day, k.created_by,
             k.created_at AS "created_at: DateTime<Utc>", k.expires_at AS "expires_at: DateTime<Utc>",
             k.revoked_at AS "revoked_at: DateTime<Utc>", c.last_used_at AS "last_used_at: DateTime<Utc>"
           FROM api_keys k LEFT JOIN callers c ON c.caller = k.hash
           WHERE k.id > ? ORDER BY k.id LIMIT ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Changes the permissions of a key that is not revoked. Returns whether there is one.
pub async fn change_permissions(
    connection: &mut MySqlConnection,
    id: Uuid,
    permissions: &str,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE api_keys SET permissions = ? WHERE id = ? AND revoked_at IS NULL",
        permissions,
        id
    );
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// Disables the webhooks that a key owns, in the transaction that revokes the key or takes its
/// permission, after the key was changed. Returns how many.
pub async fn disable_own_webhooks(
    connection: &mut MySqlConnection,
    key_id: Uuid,
    reason: &str,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE webhooks SET disabled_at = ?, disabled_reason = ? WHERE owner = ? AND disabled_at IS NULL",
        now,
        reason,
        format!("key:{key_id}")
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// Revokes a key. Returns whether it had not been revoked before.
pub async fn revoke_api_key(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE api_keys SET revoked_at = ? WHERE id = ? AND revoked_at IS NULL",
        now,
        id
    );
    Ok(done.execute(connection).await?.rows_affected() > 0)
}
