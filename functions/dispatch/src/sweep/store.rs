//! What the sweep finds: schedules due and not cut, batches whose `sweep_at` has passed, schedules with nothing left to do.

use chrono::{DateTime, Utc};
use serde::Serialize;
use sqlx::types::Uuid;

use shared::platform::db::Db;
use shared::platform::db::json::{as_datetime, as_hex, to_json};
use shared::platform::queue::{BatchMessage, DispatchMessage};

/// At most this many a round: one round is one page of work, so that a long backlog never fills the memory.
pub const ROUND: u32 = 1000;

/// Schedules to cut: scheduled and due by then, and cancelled ones whose recipients are still open.
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
    .fetch_all(&db.pool)
    .await
}

/// Running schedules of which no batch has anything to do: the sweep tries to finish each.
pub async fn idle_schedules(db: &Db) -> sqlx::Result<Vec<Uuid>> {
    let rows = sqlx::query_scalar!(
        r#"SELECT s.id AS "id: Uuid" FROM schedules s
           WHERE s.status = 'running' AND NOT EXISTS (SELECT 1 FROM batches b WHERE b.schedule_id = s.id AND b.sweep_at IS NOT NULL)
           ORDER BY s.id"#
    );
    rows.fetch_all(&db.pool).await
}

/// A batch whose `sweep_at` has passed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct DueBatch {
    /// Which one.
    pub schedule_id: Uuid,
    /// Which one of it.
    pub batch_no: u32,
    /// When something is to be sent.
    pub send_at: Option<DateTime<Utc>>,
    /// When something is to be asked.
    pub check_at: Option<DateTime<Utc>>,
    /// As seen now; a claim meanwhile moves it.
    pub sweep_at: DateTime<Utc>,
    /// How often the sweep has enqueued it already.
    pub requeues: u32,
    /// Claims without a release.
    pub crashes: u32,
    /// `schedules.status`
    pub schedule_status: String,
}

impl DueBatch {
    /// The message that names it.
    pub const fn message(&self) -> BatchMessage {
        BatchMessage {
            schedule_id: self.schedule_id,
            batch_no: self.batch_no,
        }
    }
}

/// The next round of due batches, in the order of the index; expired claims are among them, as the claim has set `sweep_at`.
pub async fn due_batches(db: &Db, now: DateTime<Utc>) -> sqlx::Result<Vec<DueBatch>> {
    sqlx::query_as!(
        DueBatch,
        r#"SELECT STRAIGHT_JOIN b.schedule_id AS "schedule_id: Uuid", b.batch_no, b.send_at AS "send_at: DateTime<Utc>",
             b.check_at AS "check_at: DateTime<Utc>", b.sweep_at AS "sweep_at!: DateTime<Utc>", b.requeues, b.crashes,
             s.status AS schedule_status
           FROM batches b JOIN schedules s ON s.id = b.schedule_id
           WHERE b.sweep_at <= ? ORDER BY b.sweep_at LIMIT ?"#,
        now,
        ROUND
    )
    .fetch_all(&db.pool)
    .await
}

/// When the sweep looks at a batch again.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct PushBack {
    /// `batches.schedule_id` in hexadecimal.
    #[serde(rename = "i", serialize_with = "as_hex")]
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    #[serde(rename = "n")]
    pub batch_no: u32,
    /// `sweep_at` as it was read: a claim or a release meanwhile wins.
    #[serde(rename = "o", serialize_with = "as_datetime")]
    pub seen: DateTime<Utc>,
    /// The new `sweep_at`.
    #[serde(rename = "t", serialize_with = "as_datetime")]
    pub again: DateTime<Utc>,
    /// 1: it was put on a queue.
    #[serde(rename = "r")]
    pub requeued: u8,
}

/// Moves `sweep_at` of the batches that the sweep has dealt with, after their messages were taken.
pub async fn push_back(db: &Db, batches: &[PushBack]) -> sqlx::Result<()> {
    let done = sqlx::query!(
        "UPDATE batches b JOIN JSON_TABLE(?, '$[*]' COLUMNS (i CHAR(32) PATH '$.i', n INT UNSIGNED PATH '$.n', o DATETIME(3) PATH '$.o',
             t DATETIME(3) PATH '$.t', r INT UNSIGNED PATH '$.r')) j
         SET b.sweep_at = j.t, b.requeues = b.requeues + j.r
         WHERE b.schedule_id = UNHEX(j.i) AND b.batch_no = j.n AND b.sweep_at = j.o",
        to_json(batches)?
    );
    done.execute(&db.pool).await.map(drop)
}
