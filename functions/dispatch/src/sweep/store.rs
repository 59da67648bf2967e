//! The statements of the sweep: schedules that are due and not cut, batches whose `sweep_at` has
//! passed, schedules with nothing left to do, and deliveries that are due.

use chrono::{DateTime, Utc};
use serde::Serialize;
use shared::{
    platform::{
        backoff::MAX_CRASHES,
        db::{
            Db,
            json::{as_datetime, as_hex, to_json},
        },
        queue::{BatchMessage, DeliveryMessage, DispatchMessage},
    },
    schedule::status::ScheduleStatus,
};
use sqlx::{Row, types::Uuid};

/// Most batches per round: a bounded page of work, so that a long backlog never fills the memory.
pub const ROUND: u32 = 1000;

/// Returns the schedules to cut: scheduled ones that are due by `due_by` and whose window has opened
/// by then, and cancelled ones with open recipients.
pub async fn schedules_to_cut(
    db: &Db,
    due_by: DateTime<Utc>,
) -> sqlx::Result<Vec<DispatchMessage>> {
    sqlx::query_as!(
        DispatchMessage,
        r#"(SELECT id AS "schedule_id: Uuid", version FROM schedules
            WHERE batch_count IS NULL AND status = 'scheduled' AND run_at <= ? AND (opens_at IS NULL OR opens_at <= ?)
            ORDER BY run_at LIMIT 1000)
           UNION ALL
           (SELECT id, version FROM schedules WHERE batch_count IS NULL AND status = 'cancelled' LIMIT 1000)"#,
        due_by,
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
    /// The unsent messages of the batch wait for their turn: the sweep does not enqueue them.
    pub waiting: bool,
    /// When a status is asked for.
    pub check_at: Option<DateTime<Utc>>,
    /// As it was read; a claim moves it.
    pub sweep_at: DateTime<Utc>,
    /// The end of the lease of an owner that has crashed.
    pub claimed_until: Option<DateTime<Utc>>,
    /// How many times the sweep has enqueued it.
    pub requeues: u32,
    /// Claims without a release.
    pub crashes: u32,
    /// `schedules.status`
    pub schedule_status: ScheduleStatus,
    /// The brake is set. Read with the row: the release of the brake moves `sweep_at`.
    pub is_stopped: bool,
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

/// Returns the next round of due batches, in the order of the index.
pub async fn due_batches(db: &Db, now: DateTime<Utc>) -> sqlx::Result<Vec<DueBatch>> {
    sqlx::query_as!(
        DueBatch,
        r#"SELECT STRAIGHT_JOIN b.schedule_id AS "schedule_id: Uuid", b.batch_no, b.send_at AS "send_at: DateTime<Utc>",
             b.waiting AS "waiting: bool", b.check_at AS "check_at: DateTime<Utc>", b.sweep_at AS "sweep_at!: DateTime<Utc>",
             b.claimed_until AS "claimed_until: DateTime<Utc>", b.requeues, b.crashes, s.status AS "schedule_status: ScheduleStatus",
             EXISTS (SELECT 1 FROM brakes x WHERE x.name = 'sending' AND x.set_at IS NOT NULL) AS "is_stopped!: bool"
           FROM batches b JOIN schedules s ON s.id = b.schedule_id
           WHERE b.sweep_at <= ? ORDER BY b.sweep_at LIMIT ?"#,
        now,
        ROUND
    )
    .fetch_all(db)
    .await
}

/// Returns the next round of those among the due batches whose lease has expired. The claim has set
/// their `sweep_at`.
pub async fn expired_batches(db: &Db, now: DateTime<Utc>) -> sqlx::Result<Vec<DueBatch>> {
    sqlx::query_as!(
        DueBatch,
        r#"SELECT STRAIGHT_JOIN b.schedule_id AS "schedule_id: Uuid", b.batch_no, b.send_at AS "send_at: DateTime<Utc>",
             b.waiting AS "waiting: bool", b.check_at AS "check_at: DateTime<Utc>", b.sweep_at AS "sweep_at!: DateTime<Utc>",
             b.claimed_until AS "claimed_until: DateTime<Utc>", b.requeues, b.crashes, s.status AS "schedule_status: ScheduleStatus",
             EXISTS (SELECT 1 FROM brakes x WHERE x.name = 'sending' AND x.set_at IS NOT NULL) AS "is_stopped!: bool"
           FROM batches b JOIN schedules s ON s.id = b.schedule_id
           WHERE b.sweep_at <= ? AND b.claimed_until < ? ORDER BY b.sweep_at LIMIT ?"#,
        now,
        now,
        ROUND
    )
    .fetch_all(db)
    .await
}

/// Returns the next time, before `until`, at which a batch counts as lost that is overdue now, or at
/// which the turn of a schedule without a rate begins.
pub async fn next_look(
    db: &Db,
    now: DateTime<Utc>,
    until: DateTime<Utc>,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    let row = sqlx::query!(
        r#"SELECT (SELECT MIN(b.sweep_at) FROM batches b FORCE INDEX (due) WHERE b.sweep_at > ? AND b.sweep_at < ? AND b.claim_token IS NULL
               AND ((b.send_at <= ? AND b.waiting = 0) OR b.check_at <= ?)) AS "lost_at: DateTime<Utc>",
             (SELECT MIN(t.ready_at) FROM turns t JOIN schedules s ON s.id = t.schedule_id
              WHERE t.ready_at > ? AND t.ready_at < ? AND s.rate IS NULL AND s.status = 'running') AS "ready_at: DateTime<Utc>""#,
        now,
        until,
        now,
        now,
        now,
        until
    )
    .fetch_one(db)
    .await?;
    Ok([row.lost_at, row.ready_at].into_iter().flatten().min())
}

/// What is due at the time of a sweep.
#[derive(Clone, Copy, Debug)]
pub struct Due {
    /// The due time of the oldest batch that is admitted, not claimed and not parked.
    pub oldest_at: Option<DateTime<Utc>>,
    /// Message parts that are due and not sent.
    pub parts: u64,
    /// Schedules that make no progress.
    pub stuck: u64,
    /// Recipients that are UNCERTAIN.
    pub uncertain: u64,
}

/// A batch that the sweep has enqueued this often since its last claim is stuck: that took half an
/// hour, since each time doubles the wait.
const STUCK_REQUEUES: u32 = 4;
/// Most batches that are looked at, so that a backlog costs no more.
const MOST_DUE: u32 = 5000;

/// Reads what is due at `now`. A schedule is stuck if it was due at `uncut` and is not cut, or if the
/// sweep should have moved one of its batches at `unswept`, or enqueues it again and again. Nothing
/// is due while the brake is set.
pub async fn read_due(
    db: &Db,
    now: DateTime<Utc>,
    uncut: DateTime<Utc>,
    unswept: DateTime<Utc>,
) -> sqlx::Result<Due> {
    sqlx::query_as!(
        Due,
        r#"SELECT MIN(IF(w.idle, w.send_at, NULL)) AS "oldest_at: DateTime<Utc>", CAST(COALESCE(SUM(w.unsent), 0) AS UNSIGNED) AS "parts!: u64",
             COUNT(DISTINCT IF(w.stuck, w.schedule_id, NULL)) + (SELECT COUNT(*) FROM schedules u FORCE INDEX (to_cut)
               WHERE u.batch_count IS NULL AND u.status = 'scheduled' AND u.run_at <= ? AND (u.opens_at IS NULL OR u.opens_at <= ?)) AS "stuck!: u64",
             (SELECT CAST(COALESCE(SUM(x.uncertain), 0) AS UNSIGNED) FROM batches x FORCE INDEX (with_uncertain) WHERE x.uncertain > 0) AS "uncertain!: u64"
           FROM (SELECT b.schedule_id, b.send_at, b.pending * s.parts AS unsent, (b.waiting = 0 AND b.claim_token IS NULL AND b.crashes < ?) AS idle,
                   (b.waiting = 0 AND b.crashes < ? AND (b.requeues >= ? OR b.sweep_at <= ?)) AS stuck
                 FROM batches b FORCE INDEX (admitted) STRAIGHT_JOIN schedules s ON s.id = b.schedule_id
                 WHERE b.waiting IN (0, 1) AND b.send_at <= ? AND s.status = 'running'
                   AND NOT EXISTS (SELECT 1 FROM brakes y WHERE y.name = 'sending' AND y.set_at IS NOT NULL) LIMIT ?) w"#,
        uncut,
        uncut,
        MAX_CRASHES,
        MAX_CRASHES,
        STUCK_REQUEUES,
        unswept,
        now,
        MOST_DUE
    )
    .fetch_one(db)
    .await
}

/// Returns when the canaries failed that have paused a schedule since a time, and still do.
pub async fn failed_canaries(db: &Db, since: DateTime<Utc>) -> sqlx::Result<Vec<DateTime<Utc>>> {
    let times = sqlx::query_scalar!(
        r#"SELECT c.decided_at AS "decided_at!: DateTime<Utc>" FROM schedules s FORCE INDEX (by_status)
           STRAIGHT_JOIN schedule_canaries c ON c.schedule_id = s.id
           WHERE s.status = 'paused' AND s.held_after IS NOT NULL AND c.outcome = 'failed' AND c.decided_at > ?"#,
        since
    );
    times.fetch_all(db).await
}

/// Returns how many percent of the connections are open that the server accepts.
pub async fn connections_used(db: &Db) -> sqlx::Result<f64> {
    let mut connection = db.acquire().await?;
    // No privilege is needed for it, unlike for the tables with the same values.
    let open = sqlx::raw_sql("SHOW GLOBAL STATUS LIKE 'Threads_connected'");
    let open: String = open.fetch_one(&mut *connection).await?.try_get(1)?;
    let most = sqlx::query_scalar!(r#"SELECT @@max_connections AS "most!: u64""#);
    let most = most.fetch_one(&mut *connection).await?;
    let open: f64 = open.parse().unwrap_or_default();
    Ok(100.0 * open / most.max(1) as f64)
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

/// Returns at most `most` due deliveries, the oldest due time first, and one of each webhook: one
/// message is enough for all that is due. Deliveries of a suspended webhook are not among them, so
/// that they do not hide others; once its suspension has ended, one of them is, as the probe.
pub async fn due_deliveries(
    db: &Db,
    now: DateTime<Utc>,
    most: u32,
) -> sqlx::Result<Vec<DeliveryMessage>> {
    sqlx::query_as!(
        DeliveryMessage,
        // The left join also returns deliveries whose webhook is gone, which notify deletes.
        r#"(SELECT STRAIGHT_JOIN d.webhook_id AS "webhook_id!: Uuid", d.event_id AS "event_id!: Uuid"
            FROM webhook_deliveries d FORCE INDEX (due) LEFT JOIN webhooks w ON w.id = d.webhook_id
            WHERE d.due_at <= ? AND w.suspended_until IS NULL ORDER BY d.due_at LIMIT ?)
           UNION
           (SELECT w.id, (SELECT d.event_id FROM webhook_deliveries d FORCE INDEX (next_of_webhook)
                          WHERE d.webhook_id = w.id AND d.due_at <= ? LIMIT 1) AS next
            FROM webhooks w WHERE w.suspended_until IS NULL OR w.suspended_until <= ? HAVING next IS NOT NULL)"#,
        now,
        most,
        now,
        now
    )
    .fetch_all(db)
    .await
}
