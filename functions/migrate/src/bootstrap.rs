//! Statements that need the rights of migrate's own database user: the administrator account, and
//! the grants of the functions' user.

use chrono::{DateTime, Utc};
use secrecy::SecretString;
use serde_json::json;
use shared::{
    access::{
        Role,
        audit::{AuditEntry, insert_entry, new_id},
        users::{
            User, change_password, change_user, end_sessions, find_user, insert_user,
            remove_second_factor, reset_failed_logins, user_subject,
        },
    },
    platform::secret::hash_password,
};
use sqlx::{MySqlConnection, types::Uuid};

/// A password that its user has to change.
pub struct TemporaryPassword {
    /// The password.
    pub password: SecretString,
    /// When it stops working.
    pub expires_at: DateTime<Utc>,
}

/// Makes the user an administrator with a temporary password, in the caller's transaction.
///
/// Creates the user if it does not exist. An existing user is enabled, all its sessions end, and its
/// second factor is removed.
/// Any operator with the right to invoke migrate may do this, so a lost password of the last
/// administrator can be replaced.
pub async fn make_admin(
    connection: &mut MySqlConnection,
    username: &str,
    temporary: TemporaryPassword,
    now: DateTime<Utc>,
) -> anyhow::Result<()> {
    let hash = hash_password(temporary.password).await?;
    let expires_at = Some(temporary.expires_at);
    let known = find_user(connection, username).await?;
    let id = known.as_ref().map_or_else(|| new_id(now), |user| user.id);
    if known.is_some() {
        change_user(connection, id, Role::Admin, None).await?;
        change_password(connection, id, &hash, expires_at).await?;
        remove_second_factor(connection, id).await?;
        end_sessions(connection, id, now).await?;
    } else {
        let user = User {
            id,
            username: username.to_owned(),
            role: Role::Admin,
            password_hash: hash,
            password_expires_at: expires_at,
            disabled_at: None,
            created_at: now,
            last_login_at: None,
            second_factor: false,
        };
        insert_user(connection, &user).await?;
    }
    reset_failed_logins(connection, &user_subject(username), true, now).await?;
    insert_entry(connection, &audit_entry(username, id, known.as_ref(), now)).await?;
    Ok(())
}

fn audit_entry(username: &str, id: Uuid, known: Option<&User>, now: DateTime<Utc>) -> AuditEntry {
    let state = |user: &User| {
        json!({"role": user.role, "disabled": user.disabled_at.is_some()}).to_string()
    };
    AuditEntry {
        id: new_id(now),
        actor: "operator".to_owned(),
        actor_name: "migrate".to_owned(),
        address: "none".to_owned(),
        request_id: "none".to_owned(),
        action: "user.make-admin".to_owned(),
        resource: format!("user:{id}"),
        state_before: known.map(state),
        state_after: Some(
            json!({"username": username, "role": Role::Admin, "disabled": false, "password_reset": true}).to_string(),
        ),
    }
}

/// Grants the functions' user UPDATE and DELETE on each table except the audit log and the list of
/// migrations. Returns the tables.
///
/// The user has SELECT and INSERT on the whole database. A grant on the database cannot be revoked
/// for one table, so the other rights are granted table by table.
pub async fn grant_changes(
    connection: &mut MySqlConnection,
    user: &str,
) -> sqlx::Result<Vec<String>> {
    let tables: Vec<String> = sqlx::query_scalar(
        "SELECT CAST(table_name AS CHAR) FROM information_schema.tables WHERE table_schema = DATABASE()
           AND table_type = 'BASE TABLE' AND table_name NOT IN ('audit_log', '_sqlx_migrations') ORDER BY table_name",
    )
    .fetch_all(&mut *connection)
    .await?;
    let database: String = sqlx::query_scalar("SELECT DATABASE()")
        .fetch_one(&mut *connection)
        .await?;
    let name = |name: &str| format!("`{}`", name.replace('`', "``"));
    let user = user.replace('\\', "\\\\").replace('\'', "''");
    for table in &tables {
        let grant = format!(
            "GRANT UPDATE, DELETE ON {}.{} TO '{user}'@'%'",
            name(&database),
            name(table)
        );
        sqlx::raw_sql(&grant).execute(&mut *connection).await?;
    }
    Ok(tables)
}
