//! A row of `schedules`, and the reads that several functions make.

use chrono::{DateTime, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use super::{
    on_uncertain::OnUncertain, priority::Priority, status::ScheduleStatus, unique_by::UniqueBy,
};

/// A row of `schedules`.
#[derive(Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct Schedule {
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub version: u32,
    pub message: String,
    pub parts: u16,
    pub sender: Option<String>,
    pub run_at: DateTime<Utc>,
    pub run_at_offset: String,
    pub opens_at: Option<DateTime<Utc>>,
    pub rate: Option<u32>,
    pub priority: Priority,
    pub auto_priority: bool,
    pub send_window: Option<String>,
    pub max_lateness_s: u32,
    pub send_until: Option<DateTime<Utc>>,
    pub send_within_s: Option<u32>,
    pub max_resends: u32,
    pub resend_within_s: u32,
    pub on_uncertain: OnUncertain,
    pub recipient_count: u32,
    pub invalid_count: u32,
    pub duplicate_count: u32,
    pub cancelled_count: u32,
    pub batch_count: Option<u32>,
    pub dispatched_by: Option<String>,
    pub dispatched_at: Option<DateTime<Utc>>,
    pub paused_at: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
    pub reason: Option<String>,
    pub finished_at: Option<DateTime<Utc>>,
    pub created_at: DateTime<Utc>,
    pub created_by: Option<String>,
    pub name: Option<String>,
    pub reference: Option<String>,
    pub labels: Option<String>,
    pub callback_id: Option<Uuid>,
    pub unique_by: UniqueBy,
    pub erased_to_seq: Option<u32>,
    pub personal_data_erased_at: Option<DateTime<Utc>>,
}

/// Reads the schedules with these ids that exist, in no particular order.
pub async fn load_schedules(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<Schedule>> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    sqlx::query_as!(
        Schedule,
        r#"SELECT s.id AS "id: Uuid", s.status AS "status: ScheduleStatus", s.version, s.message, s.parts, s.sender,
             s.run_at AS "run_at: DateTime<Utc>", s.run_at_offset, s.opens_at AS "opens_at: DateTime<Utc>", s.rate, s.priority AS "priority: Priority",
             s.auto_priority AS "auto_priority: bool", s.send_window, s.max_lateness_s, s.send_until AS "send_until: DateTime<Utc>",
             s.send_within_s, s.max_resends, s.resend_within_s,
             s.on_uncertain AS "on_uncertain: OnUncertain", s.recipient_count, s.invalid_count, s.duplicate_count, s.cancelled_count, s.batch_count, s.dispatched_by,
             s.dispatched_at AS "dispatched_at: DateTime<Utc>", s.paused_at AS "paused_at: DateTime<Utc>", s.pause_reason, s.reason,
             s.finished_at AS "finished_at: DateTime<Utc>", s.created_at AS "created_at: DateTime<Utc>", s.created_by,
             s.name, s.reference, s.labels, s.callback_id AS "callback_id: Uuid", s.unique_by AS "unique_by: UniqueBy",
             s.erased_to_seq, s.personal_data_erased_at AS "personal_data_erased_at: DateTime<Utc>"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) wanted
           STRAIGHT_JOIN schedules s ON s.id = UNHEX(wanted.id)"#,
        serde_json::json!(ids).to_string()
    )
    .fetch_all(connection)
    .await
}

/// Reads only the status of a schedule.
pub async fn read_status(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<ScheduleStatus>> {
    let row = sqlx::query!(
        r#"SELECT status AS "status: ScheduleStatus" FROM schedules WHERE id = ?"#,
        id
    );
    Ok(row.fetch_optional(connection).await?.map(|row| row.status))
}

/// Reads one schedule.
pub async fn load_schedule(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<Schedule>> {
    Ok(load_schedules(connection, &[id]).await?.pop())
}
