//! `users`: users who log in with a password.

use chrono::{DateTime, Utc};
use shared::access::{Role, users::User};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Returns a user, and locks it against changes until the transaction ends.
pub async fn lock_user(connection: &mut MySqlConnection, id: Uuid) -> sqlx::Result<Option<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: Uuid", username, role AS "role: Role", password_hash AS "password_hash: String",
             password_expires_at AS "password_expires_at: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>",
             created_at AS "created_at: DateTime<Utc>", last_login_at AS "last_login_at: DateTime<Utc>",
             EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL) AS "second_factor!: bool"
           FROM users WHERE id = ? FOR UPDATE"#,
        id
    )
    .fetch_optional(connection)
    .await
}

/// Returns users after an id, in the order of their creation.
pub async fn page_of_users(
    connection: &mut MySqlConnection,
    after: Uuid,
    limit: u32,
) -> sqlx::Result<Vec<User>> {
    sqlx::query_as!(
        User,
        r#"SELECT id AS "id: Uuid", username, role AS "role: Role", password_hash AS "password_hash: String",
             password_expires_at AS "password_expires_at: DateTime<Utc>", disabled_at AS "disabled_at: DateTime<Utc>",
             created_at AS "created_at: DateTime<Utc>", last_login_at AS "last_login_at: DateTime<Utc>",
             EXISTS (SELECT 1 FROM second_factors f WHERE f.user_id = users.id AND f.confirmed_at IS NOT NULL) AS "second_factor!: bool"
           FROM users WHERE id > ? ORDER BY id LIMIT ?"#,
        after,
        limit
    )
    .fetch_all(connection)
    .await
}

/// Records a login.
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

/// Counts the administrators who could log in without this one. Locks them, so that two of them
/// cannot remove each other.
pub async fn count_other_admins(
    connection: &mut MySqlConnection,
    except: Uuid,
) -> sqlx::Result<usize> {
    let admins = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM users WHERE role = 'admin' AND disabled_at IS NULL AND id <> ? FOR UPDATE"#,
        except
    );
    Ok(admins.fetch_all(connection).await?.len())
}
