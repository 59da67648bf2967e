//! The summaries of schedules, which dispatch computes.

use chrono::{DateTime, Utc};
use serde_json::json;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// A summary that is complete.
#[derive(Clone, Copy, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct SummaryRow {
    pub schedule_id: Uuid,
    pub requested_at: DateTime<Utc>,
    pub done_at: DateTime<Utc>,
    pub due_to_sent_count: u32,
    pub due_to_sent_p50_ms: Option<u64>,
    pub due_to_sent_p99_ms: Option<u64>,
    pub due_to_sent_max_ms: Option<u64>,
    pub sent_to_final_count: u32,
    pub sent_to_final_p50_ms: Option<u64>,
    pub sent_to_final_p99_ms: Option<u64>,
    pub sent_to_final_max_ms: Option<u64>,
}

/// Returns the summaries of these schedules that are complete.
pub async fn summaries_of(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<SummaryRow>> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    sqlx::query_as!(
        SummaryRow,
        r#"SELECT y.schedule_id AS "schedule_id!: Uuid", y.requested_at AS "requested_at!: DateTime<Utc>", y.done_at AS "done_at!: DateTime<Utc>",
             y.due_to_sent_count AS "due_to_sent_count!: u32", y.due_to_sent_p50_ms, y.due_to_sent_p99_ms, y.due_to_sent_max_ms,
             y.sent_to_final_count AS "sent_to_final_count!: u32", y.sent_to_final_p50_ms, y.sent_to_final_p99_ms, y.sent_to_final_max_ms
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) named
           STRAIGHT_JOIN schedule_summaries y FORCE INDEX (PRIMARY) ON y.schedule_id = UNHEX(named.id)
           WHERE y.done_at IS NOT NULL"#,
        json!(ids).to_string()
    )
    .fetch_all(connection)
    .await
}
