//! `users`: people who log in here.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::access::Role;

/// A whole row.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct User {
    pub id: Uuid,
    pub username: String,
    pub role: Role,
    pub password_hash: String,
    pub password_expires_at: Option<DateTime<Utc>>,
    pub disabled_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub last_login_at: Option<DateTime<Utc>>,
}

/// Adds a user, whose first password is temporary until `password_expires_at`. A name that is taken: a unique violation.
pub async fn insert_user(connection: &mut MySqlConnection, user: &User) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO users (id, username, role, password_hash, password_expires_at, created_at) VALUES (?, ?, ?, ?, ?, ?)",
        user.id,
        user.username,
        user.role.as_str(),
        user.password_hash,
        user.password_expires_at,
        user.created_at
    );
    done.execute(connection).await.map(drop)
}

/// A user by name, whatever the case.
pub async fn find_user(
    connection: &mut MySqlConnection,
    username: &str,
) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: Uuid", username, role AS "role: Role", password_hash AS "password_hash: String",
             password_expires_at AS "password_expires_at: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>",
             created_at AS "created_at: DateTime<Utc>", last_login_at AS "last_login_at: DateTime<Utc>"
           FROM users WHERE username = ?"#,
        username
    )
    .fetch_optional(connection)
    .await
}

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

/// Writes what an admin may change.
pub async fn change_user(
    connection: &mut MySqlConnection,
    id: Uuid,
    role: Role,
    disabled_at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE users SET role = ?, disabled_at = ? WHERE id = ?",
        role.as_str(),
        disabled_at,
        id
    );
    done.execute(connection).await.map(drop)
}

/// Another password; temporary until `expires_at`, or for good.
pub async fn change_password(
    connection: &mut MySqlConnection,
    id: Uuid,
    password_hash: &str,
    expires_at: Option<DateTime<Utc>>,
) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE users SET password_hash = ?, password_expires_at = ? WHERE id = ?",
        password_hash,
        expires_at,
        id
    );
    done.execute(connection).await.map(drop)
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
