//! `audit_log`: who changed what. Rows are added in the transaction of the change, so there is no change without its row; nobody
//! changes or removes one: the functions' database user can't.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::{NoContext, Timestamp, Uuid};

/// A whole row.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Entry {
    pub id: Uuid,
    pub actor: String,
    pub actor_name: String,
    pub address: String,
    pub request_id: String,
    pub action: String,
    pub thing: String,
    pub state_before: Option<String>,
    pub state_after: Option<String>,
}

/// What of the log is wanted; every `None` is no condition.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct Filter {
    pub actor: Option<String>,
    pub thing: Option<String>,
    pub action: Option<String>,
    /// Ids from this one on: those of a time begin with it.
    pub from: Uuid,
    /// Ids before this one.
    pub before: Uuid,
}

/// An id of that time, whose order is the order of time.
pub fn new_id(now: DateTime<Utc>) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        now.timestamp() as u64,
        now.timestamp_subsec_nanos(),
    ))
}

/// The least id of that time.
pub fn first_id(time: DateTime<Utc>) -> Uuid {
    Uuid::from_u128((time.timestamp_millis().max(0) as u128) << 80)
}

/// The time in an id.
pub fn time_of(id: Uuid) -> DateTime<Utc> {
    DateTime::from_timestamp_millis((id.as_u128() >> 80) as i64).unwrap_or_default()
}

/// Adds a row.
pub async fn insert_entry(connection: &mut MySqlConnection, entry: &Entry) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO audit_log (id, actor, actor_name, address, request_id, action, thing, state_before, state_after)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        entry.id,
        entry.actor,
        entry.actor_name,
        entry.address,
        entry.request_id,
        entry.action,
        entry.thing,
        entry.state_before,
        entry.state_after
    );
    done.execute(connection).await.map(drop)
}

/// Newest first.
pub async fn page_of_entries(
    connection: &mut MySqlConnection,
    filter: &Filter,
    limit: u32,
) -> sqlx::Result<Vec<Entry>> {
    sqlx::query_as!(
        Entry,
        r#"SELECT id AS "id: Uuid", actor, actor_name, address, request_id, action, thing, state_before, state_after
           FROM audit_log
           WHERE id >= ? AND id < ? AND (? IS NULL OR actor = ?) AND (? IS NULL OR thing = ?) AND (? IS NULL OR action = ?)
           ORDER BY id DESC LIMIT ?"#,
        filter.from,
        filter.before,
        filter.actor,
        filter.actor,
        filter.thing,
        filter.thing,
        filter.action,
        filter.action,
        limit
    )
    .fetch_all(connection)
    .await
}
