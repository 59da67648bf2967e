//! The owners of webhooks: an API key with `webhooks:own`, or, of a callback, also a user.

use chrono::{DateTime, Utc};
use shared::access::Permission;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// The right of an owner to have webhooks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Grant {
    /// When the owner's key expires, and its webhooks with it; None: never.
    pub expires_at: Option<DateTime<Utc>>,
}

/// Returns the right of an owner, in the form of `audit_log.actor`, or None if it is a key that is
/// revoked or lacks the permission. Locks the key until the transaction ends: a revocation that
/// follows disables what this transaction creates or enables.
pub async fn lock_grant(
    connection: &mut MySqlConnection,
    owner: &str,
) -> sqlx::Result<Option<Grant>> {
    let Some(key) = owner.strip_prefix("key:") else {
        return Ok(Some(Grant::default()));
    };
    let found = sqlx::query!(
        r#"SELECT permissions, expires_at AS "expires_at: DateTime<Utc>" FROM api_keys
           WHERE id = ? AND revoked_at IS NULL FOR UPDATE"#,
        Uuid::try_parse(key).unwrap_or_default()
    );
    let key = found.fetch_optional(connection).await?;
    let granted = key
        .filter(|key| Permission::parse_list(&key.permissions).contains(&Permission::WebhooksOwn));
    Ok(granted.map(|key| Grant {
        expires_at: key.expires_at,
    }))
}
