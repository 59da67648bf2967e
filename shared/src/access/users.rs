//! The statements about users that both the API and `migrate` execute: `migrate` creates the first
//! administrator and resets a lost administrator's password.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::Role;
use crate::platform::secret::hash_token;

/// Returns the subject under which the failed logins of a username are counted.
pub fn user_subject(username: &str) -> String {
    format!("user:{username}")
}

/// Updates the failed logins of a subject after a correct password: resets the count, or, unless
/// `wholly`, only undoes this attempt.
pub async fn reset_failed_logins(
    connection: &mut MySqlConnection,
    subject: &str,
    wholly: bool,
    now: DateTime<Utc>,
) -> sqlx::Result<()> {
    let left = i64::from(!wholly);
    let done = sqlx::query!(
        "UPDATE login_guards SET failures = IF(failures > 0, failures - 1, 0) * ?, locked_until = ? WHERE subject = ?",
        left,
        now,
        hash_token(subject)
    );
    done.execute(connection).await.map(drop)
}

/// Ends all sessions of a user. Returns how many were open.
pub async fn end_sessions(
    connection: &mut MySqlConnection,
    user_id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let done = sqlx::query!(
        "UPDATE sessions SET ended_at = ? WHERE user_id = ? AND ended_at IS NULL",
        now,
        user_id
    );
    Ok(done.execute(connection).await?.rows_affected())
}

/// A row of `users`.
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
    /// Whether logins need a code; from `second_factors`.
    pub second_factor: bool,
}

/// Inserts a user, whose first password expires at `password_expires_at`. Fails with a unique
/// violation if the name is taken.
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

/// Finds a user by name, without regard to case.
pub async fn find_user(
    connection: &mut MySqlConnection,
    username: &str,
) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: Uuid", username, role AS "role: Role", password_hash AS "password_hash: String",
             password_expires_at AS "password_expires_at: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>",
             created_at AS "created_at: DateTime<Utc>", last_login_at AS "last_login_at: DateTime<Utc>",
             EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL) AS "second_factor!: bool"
           FROM users WHERE username = ?"#,
        username
    )
    .fetch_optional(connection)
    .await
}

/// Changes the role of a user, and disables or enables the user.
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

/// Changes a password; it expires at `expires_at`, or never. The devices of the user are forgotten:
/// each has to log in once as an unknown one.
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
    done.execute(&mut *connection).await?;
    let forgotten = sqlx::query!("DELETE FROM known_devices WHERE user_id = ?", id);
    forgotten.execute(connection).await.map(drop)
}

/// Removes the second factor and the recovery codes of a person. Returns whether there was one.
pub async fn remove_second_factor(
    connection: &mut MySqlConnection,
    user_id: Uuid,
) -> sqlx::Result<bool> {
    let codes = sqlx::query!("DELETE FROM recovery_codes WHERE user_id = ?", user_id);
    codes.execute(&mut *connection).await?;
    let done = sqlx::query!("DELETE FROM second_factors WHERE user_id = ?", user_id);
    Ok(done.execute(connection).await?.rows_affected() > 0)
}
