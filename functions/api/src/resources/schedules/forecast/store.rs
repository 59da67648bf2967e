//! The schedules in line: those that are sent, or will be.

use chrono::{DateTime, Utc};
use serde_json::json;
use shared::schedule::priority::Priority;
use sqlx::MySqlConnection;
use uuid::Uuid;

/// Schedules in line that a forecast considers, at most: the earliest by their planned time.
pub const MOST_IN_LINE: u32 = 200;

/// A schedule in line.
#[derive(Clone, Debug)]
pub struct InLine {
    pub id: Uuid,
    pub priority: Priority,
    pub run_at: DateTime<Utc>,
    pub rate: Option<u32>,
    pub send_window: Option<String>,
    pub send_until: Option<DateTime<Utc>>,
    pub send_within_s: Option<u32>,
    pub parts: u16,
    pub recipient_count: u32,
    /// Whether the text has variables.
    pub is_personal: bool,
    /// Whether it has been cut.
    pub is_cut: bool,
    /// Messages that are still to be sent, without held ones.
    pub pending: u64,
}

/// Reads the schedules in line, and of `ids` those that are in line too.
pub async fn schedules_in_line(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<InLine>> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    sqlx::query_as!(
        InLine,
        r#"SELECT s.id AS "id: Uuid", s.priority AS "priority: Priority", s.run_at AS "run_at: DateTime<Utc>", s.rate, s.send_window,
             s.send_until AS "send_until: DateTime<Utc>", s.send_within_s, s.parts, s.recipient_count,
             s.message LIKE '%{{%' AS "is_personal!: bool", s.batch_count IS NOT NULL AS "is_cut!: bool",
             CAST(IF(s.batch_count IS NULL, s.recipient_count - s.cancelled_count, COALESCE(
               (SELECT SUM(b.pending) FROM batches b WHERE b.schedule_id = s.id AND b.send_at IS NOT NULL), 0)) AS UNSIGNED) AS "pending!: u64"
           FROM (
             SELECT earliest.id FROM (
               SELECT id FROM schedules FORCE INDEX (by_status) WHERE status IN ('running', 'scheduled') ORDER BY run_at LIMIT ?) earliest
             UNION SELECT UNHEX(wanted.id) FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) wanted) line
           STRAIGHT_JOIN schedules s ON s.id = line.id AND s.status IN ('running', 'scheduled')"#,
        MOST_IN_LINE,
        json!(ids).to_string()
    )
    .fetch_all(connection)
    .await
}
