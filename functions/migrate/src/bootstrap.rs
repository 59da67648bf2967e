//! What is done with the rights of the user that migrates: the first admin, and the grants of the functions' user.

use chrono::{DateTime, TimeDelta, Utc};
use secrecy::SecretString;
use serde_json::json;
use sqlx::MySqlConnection;

use shared::access::{
    audit::{Entry, insert_entry, new_id},
    users::{
        User, change_password, change_user, end_sessions, find_user, insert_user,
        reset_failed_logins, user_subject,
    },
};
use shared::{access::Role, platform::secret::hash_password};

/// Makes that user an admin with this password, temporary for `valid`: a new one, or the one that there is, enabled again and with all
/// sessions ended. To be called in a transaction. Whoever may invoke migrate may do this; so the last admin's lost password is no end.
pub async fn make_admin(
    transaction: &mut MySqlConnection,
    username: &str,
    password: SecretString,
    (now, valid): (DateTime<Utc>, TimeDelta),
) -> anyhow::Result<()> {
    let (hash, expires_at) = (hash_password(password).await?, Some(now + valid));
    let known = find_user(transaction, username).await?;
    let id = known.as_ref().map_or_else(|| new_id(now), |user| user.id);
    if known.is_some() {
        change_user(transaction, id, Role::Admin, None).await?;
        change_password(transaction, id, &hash, expires_at).await?;
        end_sessions(transaction, id, now).await?;
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
        };
        insert_user(transaction, &user).await?;
    }
    reset_failed_logins(transaction, &user_subject(username), true, now).await?;
    let state = |user: &User| {
        json!({"role": user.role, "disabled": user.disabled_at.is_some()}).to_string()
    };
    let entry = Entry {
        id: new_id(now),
        actor: "operator".to_owned(),
        actor_name: "migrate".to_owned(),
        address: "none".to_owned(),
        request_id: "none".to_owned(),
        action: "user.make-admin".to_owned(),
        resource: format!("user:{id}"),
        state_before: known.as_ref().map(state),
        state_after: Some(
            json!({"username": username, "role": Role::Admin, "disabled": false, "password_reset": true}).to_string(),
        ),
    };
    insert_entry(transaction, &entry).await?;
    Ok(())
}

/// Lets the functions' user change and remove rows everywhere but in the audit log and in the list of migrations: it holds SELECT and
/// INSERT on the whole database, which can't be taken back for one table, so the rest is given table by table. Returns the tables.
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
