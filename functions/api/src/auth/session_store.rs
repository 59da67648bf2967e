//! TODO header

use chrono::{DateTime, Utc};
use shared::access::Role;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Who acts in a session.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct SessionUser {
    pub user_id: Uuid,
    pub username: String,
    pub role: Role,
}

/// Who acts in that session, if it goes on and its user is not disabled.
pub async fn session_user(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<SessionUser>> {
    sqlx::query_as!(
        SessionUser,
        r#"SELECT u.id AS "user_id: Uuid", u.username, u.role AS "role: Role"
           FROM sessions s JOIN users u ON u.id = s.user_id
           WHERE s.id = ? AND s.ended_at IS NULL AND s.expires_at > ? AND u.disabled_at IS NULL"#,
        id,
        now
    )
    .fetch_optional(connection)
    .await
}
