//! `api_keys` and `key_days`: keys with which machines call the API, and the part of the daily
//! allowance that each has used.

use chrono::{DateTime, Utc};
use shared::access::Role;
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
        "INSERT INTO api_keys (id, name, prefix, hash, permissions, messages_per_day, created_by, created_at, expires_at,
           allowed_addresses, allowed_senders, user_id)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        key.id,
        key.name,
        key.prefix,
        hash,
        key.permissions,
        key.messages_per_day,
        key.created_by,
        key.created_at,
        key.expires_at,
        key.allowed_addresses,
        key.allowed_senders,
        key.user_id
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
             k.revoked_at AS "revoked_at: DateTime<Utc>", k.allowed_addresses, k.allowed_senders, k.user_id AS "user_id: Uuid",
             c.last_used_at AS "last_used_at: DateTime<Utc>", u.role AS "role: Role",
             u.disabled_at IS NOT NULL AS "user_disabled!: bool"
           FROM api_keys k LEFT JOIN callers c ON c.caller = k.hash LEFT JOIN users u ON u.id = k.user_id
           WHERE k.id > ? ORDER BY k.id LIMIT ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Writes what can be changed of a key, if it is not revoked. Returns whether there is one.
pub async fn change_api_key(connection: &mut MySqlConnection, key: &ApiKey) -> sqlx::Result<bool> {
    // MySQL counts only rows that a statement changes, so the row is locked first.
    let found = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM api_keys WHERE id = ? AND revoked_at IS NULL FOR UPDATE"#,
        key.id
    );
    if found.fetch_optional(&mut *connection).await?.is_none() {
        return Ok(false);
    }
    let done = sqlx::query!(
        "UPDATE api_keys SET permissions = ?, expires_at = ?, allowed_addresses = ?, allowed_senders = ? WHERE id = ?",
        key.permissions,
        key.expires_at,
        key.allowed_addresses,
        key.allowed_senders,
        key.id
    );
    done.execute(connection).await?;
    Ok(true)
}

/// Gives the webhooks that a key owns the key's end of validity.
pub async fn expire_own_webhooks(
    connection: &mut MySqlConnection,
    key: &ApiKey,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE webhooks SET expires_at = ? WHERE owner = ?",
        key.expires_at,
        format!("key:{}", key.id)
    );
    done.execute(connection).await.map(drop)
}

/// Returns whether a person has an account that is not disabled, and locks it until the transaction
/// ends, so that the account is not disabled before the key exists.
pub async fn lock_person(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<bool> {
    let found = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM users WHERE id = ? AND disabled_at IS NULL FOR UPDATE"#,
        id
    );
    Ok(found.fetch_optional(connection).await?.is_some())
}

/// Returns the keys of a person that are not revoked, and locks them until the transaction ends.
pub async fn lock_keys_of_person(
    connection: &mut MySqlConnection,
    user_id: Uuid,
) -> sqlx::Result<Vec<Uuid>> {
    sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM api_keys WHERE user_id = ? AND revoked_at IS NULL ORDER BY id FOR UPDATE"#,
        user_id
    )
    .fetch_all(connection)
    .await
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
