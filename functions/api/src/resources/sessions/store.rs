//! `sessions` and `refresh_tokens`: a login, and the chain of tokens that follows from it.

use chrono::{DateTime, Utc};
use shared::access::Role;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A session to insert.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct NewSession {
    pub id: Uuid,
    pub user_id: Uuid,
    pub address: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
}

/// A refresh token, its session and its user.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct RefreshToken {
    pub session_id: Uuid,
    pub user_id: Uuid,
    pub username: String,
    pub role: Role,
    pub issued_at: DateTime<Utc>,
    pub used_at: Option<DateTime<Utc>>,
    /// A token that was issued for it was used already.
    pub successor_used: bool,
    pub session_expires_at: DateTime<Utc>,
    pub ended_at: Option<DateTime<Utc>>,
    pub disabled_at: Option<DateTime<Utc>>,
}

/// Inserts a session.
pub async fn insert_session(
    connection: &mut MySqlConnection,
    session: &NewSession,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO sessions (id, user_id, address, created_at, expires_at) VALUES (?, ?, ?, ?, ?)",
        session.id,
        session.user_id,
        session.address,
        session.created_at,
        session.expires_at
    );
    done.execute(connection).await.map(drop)
}

/// Inserts a refresh token.
pub async fn insert_refresh_token(
    connection: &mut MySqlConnection,
    hash: &[u8],
    session_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO refresh_tokens (hash, session_id, issued_at) VALUES (?, ?, ?)",
        hash,
        session_id,
        now
    );
    done.execute(connection).await.map(drop)
}

/// Returns a refresh token by its hash, and locks it until the transaction ends.
pub async fn lock_refresh_token(
    connection: &mut MySqlConnection,
    hash: &[u8],
) -> sqlx::Result<Option<RefreshToken>> {
    sqlx::query_as!(
        RefreshToken,
        r#"SELECT s.id AS "session_id: Uuid", u.id AS "user_id: Uuid", u.username, u.role AS "role: Role",
             t.issued_at AS "issued_at: DateTime<Utc>", t.used_at AS "used_at: DateTime<Utc>",
             EXISTS (SELECT 1 FROM refresh_tokens n WHERE n.session_id = t.session_id AND n.issued_at >= t.used_at
               AND n.used_at IS NOT NULL AND n.hash <> t.hash) AS "successor_used!: bool",
             s.expires_at AS "session_expires_at: DateTime<Utc>", s.ended_at AS "ended_at: DateTime<Utc>",
             u.disabled_at AS "disabled_at: DateTime<Utc>"
           FROM refresh_tokens t JOIN sessions s ON s.id = t.session_id JOIN users u ON u.id = s.user_id
           WHERE t.hash = ? FOR UPDATE"#,
        hash
    )
    .fetch_optional(connection)
    .await
}

/// Records that a refresh token was used, and with it the others of its session that were not: if
/// its predecessor was exchanged twice, there are two, of which one goes on.
pub async fn use_refresh_tokens(
    connection: &mut MySqlConnection,
    session_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!(
        "UPDATE refresh_tokens SET used_at = ? WHERE session_id = ? AND used_at IS NULL",
        now,
        session_id
    )
    .execute(connection)
    .await
    .map(drop)
}

/// Ends a session. Returns whether it had not ended before.
pub async fn end_session(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<bool> {
    let done = sqlx::query!(
        "UPDATE sessions SET ended_at = ? WHERE id = ? AND ended_at IS NULL",
        now,
        id
    );
    Ok(done.execute(connection).await?.rows_affected() > 0)
}

/// A session that has not ended.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct SessionRow {
    pub id: Uuid,
    pub address: String,
    pub created_at: DateTime<Utc>,
    pub expires_at: DateTime<Utc>,
    /// When its newest refresh token was issued.
    pub last_used_at: Option<DateTime<Utc>>,
}

/// Returns the sessions of a user that have not ended, the newest first.
pub async fn open_sessions(
    connection: &mut MySqlConnection,
    user_id: Uuid,
    now: DateTime<Utc>,
    limit: u32,
) -> sqlx::Result<Vec<SessionRow>> {
    sqlx::query_as!(
        SessionRow,
        r#"SELECT s.id AS "id: Uuid", s.address, s.created_at AS "created_at: DateTime<Utc>",
             s.expires_at AS "expires_at: DateTime<Utc>",
             (SELECT MAX(t.issued_at) FROM refresh_tokens t WHERE t.session_id = s.id) AS "last_used_at: DateTime<Utc>"
           FROM sessions s WHERE s.user_id = ? AND s.ended_at IS NULL AND s.expires_at > ? ORDER BY s.id DESC LIMIT ?"#,
        user_id,
        now,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Ends a session of this user. Returns whether it had not ended before, or `None` if the user has no
/// such session.
pub async fn end_session_of(
    connection: &mut MySqlConnection,
    user_id: Uuid,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Option<bool>> {
    let owner = sqlx::query_scalar!(
        r#"SELECT user_id AS "user_id: Uuid" FROM sessions WHERE id = ?"#,
        id
    );
    if owner.fetch_optional(&mut *connection).await? != Some(user_id) {
        return Ok(None);
    }
    end_session(connection, id, now).await.map(Some)
}
