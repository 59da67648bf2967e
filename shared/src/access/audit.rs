//! `audit_log`: who changed what. A row is added in the transaction of the change, so there is no
//! change without its row. The functions' database user can neither change nor delete a row.

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
    pub resource: String,
    pub state_before: Option<String>,
    pub state_after: Option<String>,
}

/// An id of that time, whose order is the order of time.
pub fn new_id(now: DateTime<Utc>) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        now.timestamp() as u64,
        now.timestamp_subsec_nanos(),
    ))
}

/// Adds a row.
pub async fn insert_entry(connection: &mut MySqlConnection, entry: &Entry) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "INSERT INTO audit_log (id, actor, actor_name, address, request_id, action, resource, state_before, state_after)
         VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
        entry.id,
        entry.actor,
        entry.actor_name,
        entry.address,
        entry.request_id,
        entry.action,
        entry.resource,
        entry.state_before,
        entry.state_after
    );
    done.execute(connection).await.map(drop)
}
