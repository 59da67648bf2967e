//! `audit_log`: who changed what. A row is inserted in the transaction of its change, so no change
//! is without its row. No row is changed or deleted: the functions' database user has no right to
//! do so.

use chrono::{DateTime, Utc};
use shared::access::audit::AuditEntry;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Selects entries; `None` is no condition.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "named as the columns")]
pub struct Filter {
    pub actor: Option<String>,
    pub resource: Option<String>,
    pub action: Option<String>,
    /// Ids from this one on. An id begins with its time.
    pub from: Uuid,
    /// Ids before this one.
    pub before: Uuid,
}

/// Returns the smallest id of a time.
pub fn first_id(time: DateTime<Utc>) -> Uuid {
    Uuid::from_u128((time.timestamp_millis().max(0) as u128) << 80)
}

/// Returns the time of an id.
pub fn time_of(id: Uuid) -> DateTime<Utc> {
    DateTime::from_timestamp_millis((id.as_u128() >> 80) as i64).unwrap_or_default()
}

/// Returns entries, newest first.
pub async fn page_of_entries(
    connection: &mut MySqlConnection,
    filter: &Filter,
    limit: u32,
) -> sqlx::Result<Vec<AuditEntry>> {
    sqlx::query_as!(
        AuditEntry,
        r#"SELECT id AS "id: Uuid", actor, actor_name, address, request_id, action, resource, state_before, state_after
           FROM audit_log
           WHERE id >= ? AND id < ? AND (? IS NULL OR actor = ?) AND (? IS NULL OR resource = ?) AND (? IS NULL OR action = ?)
           ORDER BY id DESC LIMIT ?"#,
        filter.from,
        filter.before,
        filter.actor,
        filter.actor,
        filter.resource,
        filter.resource,
        filter.action,
        filter.action,
        limit
    )
    .fetch_all(connection)
    .await
}
