//! TODO header

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A row, less the hash, and its last use.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct ApiKey {
    pub id: Uuid,
    pub name: String,
    pub prefix: String,
    pub permissions: String,
    pub messages_per_day: Option<u32>,
    pub created_by: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: Option<DateTime<Utc>>,
    pub revoked_at: Option<DateTime<Utc>>,
    /// From `callers`.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// The key with that hash, whether it still holds or not.
pub async fn find_api_key(
    connection: &mut MySqlConnection,
    hash: &[u8],
) -> sqlx::Result<Option<ApiKey>> {
    sqlx::query_as!(
        ApiKey,
        r#"SELECT id AS "id: Uuid", name, prefix AS "prefix: String", permissions, messages_per_day, created_by,
             created_at AS "created_at: DateTime<Utc>", expires_at AS "expires_at: DateTime<Utc>",
             revoked_at AS "revoked_at: DateTime<Utc>", CAST(NULL AS DATETIME(3)) AS "last_used_at: DateTime<Utc>"
           FROM api_keys WHERE hash = ?"#,
        hash
    )
    .fetch_optional(connection)
    .await
}
