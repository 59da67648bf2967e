//! `users`: people who log in here.

use chrono::{DateTime, Utc};
use shared::access::{Role, users::User};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A user, whom nobody else changes until the transaction ends.
pub async fn lock_user(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: Uuid", username, role AS "role: Role", password_hash AS "password_hash: String",
             password_expires_at AS "password_expires_at: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>",
             created_at AS "created_at: DateTime<Utc>", last_login_at AS "last_login_at: DateTime<Utc>"
           FROM users WHERE id = ? FOR UPDATE"#,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Users after that id, in the order of their making.
pub async fn page_of_users(
    connection: &mut MySqlConnection,
    after: Uuid,
    limit: u32,
) -> sqlx::Result<Vec<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: Uuid", username, role AS "role: Role", password_hash AS "password_hash: String",
             password_expires_at AS "password_expires_at: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>",
             created_at AS "created_at: DateTime<Utc>", last_login_at AS "last_login_at: DateTime<Utc>"
           FROM users WHERE id > ? ORDER BY id LIMIT ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Notes a login.
pub async fn note_login(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    sqlx::query!("UPDATE users SET last_login_at = ? WHERE id = ?", now, id)
        .execute(connection)
        .await
        .map(drop)
}

/// How many admins could log in if that one could not; locked, so that two of them can't remove each other.
pub async fn count_other_admins(
    connection: &mut MySqlConnection,
    but: Uuid,
) -> sqlx::Result<usize> {
    let admins = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> ? FOR UPDATE"#,
        but
    );
    Ok(admins.fetch_all(connection).await?.len())
}
