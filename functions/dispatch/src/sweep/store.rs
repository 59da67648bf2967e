//! The statements of the sweep: schedules that are due and not cut, batches whose `sweep_at` has
//! passed, schedules with nothing left to do, and deliveries that are due.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    platform::{
        db::{
            Db,
            json::{as_datetime, as_hex, to_json},
        },
        queue::{BatchMessage, DeliveryMessage, DispatchMessage},
    },
    schedule::status::ScheduleStatus,
};
use sqlx::types::Uuid;

/// Most batches per round: a bounded page of work, so that a long backlog never fills the memory.
pub const ROUND: u32 = 1000;

/// Returns the schedules to cut: scheduled ones that are due by `due_by`, and cancelled ones with
/// open recipients.
pub async fn schedules_to_cut(
    db: &Db,
    due_by: DateTime<Utc>,
) -> sqlx::Result<Vec<DispatchMessage>> {
    sqlx::query_as!(
        DispatchMessage,
        r#"(SELECT id AS "schedule_id: Uuid", version FROM schedules
            WHERE batch_count IS NULL AND status = 'scheduled' AND run_at <= ? ORDER BY run_at LIMIT 1000)
           UNION ALL
           (SELECT id, version FROM schedules WHERE batch_count IS NULL AND status = 'cancelled' LIMIT 1000)"#,
        due_by
    )
    .fetch_all(db)
    .await
}

/// Returns running schedules without a batch that has something to do: the sweep finishes each.
pub async fn idle_schedules(db: &Db) -> sqlx::Result<Vec<Uuid>> {
    let rows = sqlx::query_scalar!(
        r#"SELECT s.id AS "id: Uuid" FROM schedules s
           WHERE s.status = 'running' AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = s.id AND b.sweep_at IS NOT NULL)
           ORDER BY s.id"#
    );
    rows.fetch_all(db).await
}

/// A batch whose `sweep_at` has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueBatch {
    /// `batches.schedule_id`
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    pub batch_no: u32,
    /// When something is sent.
    pub send_at: Option<DateTime<Utc>>,
    /// When a status is asked for.
    pub check_at: Option<DateTime<Utc>>,
    /// As it was read; a claim moves it.
    pub sweep_at: DateTime<Utc>,
    /// How many times the sweep has enqueued it.
    pub requeues: u32,
    /// Claims without a release.
    pub crashes: u32,
    /// `schedules.status`
    pub schedule_status: ScheduleStatus,
}

impl DueBatch {
    /// Returns the message that names it.
    pub const fn message(&self) -> BatchMessage {
        BatchMessage {
            schedule_id: self.schedule_id,
            batch_no: self.batch_no,
        }
    }
}

/// Returns the next round of due batches, in the order of the index. Batches whose claim has
/// expired are among them, since the claim has set `sweep_at`.
pub async fn due_batches(db: &Db, now: DateTime<Utc>) -> sqlx::Result<Vec<DueBatch>> {
    sqlx::query_as!(
        DueBatch,
        r#"SELECT STRAIGHT_JOIN b.schedule_id AS "schedule_id: Uuid", b.batch_no, b.send_at AS "send_at: DateTime<Utc>",
             b.check_at AS "check_at: DateTime<Utc>", b.sweep_at AS "sweep_at!: DateTime<Utc>", b.requeues, b.crashes,
             s.status AS "schedule_status: ScheduleStatus"
           FROM batches b JOIN schedules s ON s.id = b.schedule_id
           WHERE b.sweep_at <= ? ORDER BY b.sweep_at LIMIT ?"#,
        now,
        ROUND
    )
    .fetch_all(db)
    .await
}

/// The next time at which the sweep checks a batch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushBack {
    /// `batches.schedule_id` in hexadecimal.
    #[serde(rename = "i", serialize_with = "as_hex")]
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    #[serde(rename = "n")]
    pub batch_no: u32,
    /// `sweep_at` as it was read: if a claim or a release has changed it since, theirs stays.
    #[serde(rename = "o", serialize_with = "as_datetime")]
    pub seen: DateTime<Utc>,
    /// The new `sweep_at`.
    #[serde(rename = "t", serialize_with = "as_datetime")]
    pub next: DateTime<Utc>,
    /// 1: the batch was enqueued.
    #[serde(rename = "r")]
    pub requeued: u8,
}

/// Moves `sweep_at` of batches that the sweep has handled, after their messages were taken.
pub async fn push_back(db: &Db, batches: &[PushBack]) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', n INT UNSIGNED PATH '$.n', o DATETIME(3) PATH '$.o',
             t DATETIME(3) PATH '$.t', r INT UNSIGNED PATH '$.r')) j
         SET b.sweep_at = j.t, b.requeues = b.requeues + j.r
         WHERE b.schedule_id = UNHEX(j.i) AND b.batch_no = j.n AND b.sweep_at = j.o",
        to_json(batches)?
    );
    done.execute(db).await.map(drop)
}

/// Returns at most `most` due deliveries, the oldest due time first.
pub async fn due_deliveries(
    db: &Db,
    now: DateTime<Utc>,
    most: u32,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    sqlx::query_as!(
        DeliveryMessage,
        r#"SELECT webhook_id AS "webhook_id: Uuid", event_id AS "event_id: Uuid" FROM webhook_deliveries
           WHERE due_at <= ? ORDER BY due_at LIMIT ?"#,
        now,
        most
    )
    .fetch_all(db)
    .await
}
