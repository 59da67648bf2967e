//! The audit log: which caller changed which resource. A row is inserted in the transaction of the
//! change, so each change has its row. The database user of the functions can neither change nor
//! delete a row.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::{NoContext, Timestamp, Uuid};

/// A row of `audit_log`.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct AuditEntry {
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

/// Returns an id for a row of that time; ids sort by time.
pub fn new_id(now: DateTime<Utc>) -> Uuid {
    Uuid::new_v7(Timestamp::from_unix(
        NoContext,
        now.timestamp() as u64,
        now.timestamp_subsec_nanos(),
    ))
}

/// Inserts a row.
pub async fn insert_entry(
    connection: &mut MySqlConnection,
    entry: &AuditEntry,
) -> sqlx::Result<()> {
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
