//! Everything that needs an operator: missed, parked, uncertain, overdue, paused. None of it
//! progresses by itself. Each list is read page by page in the order of an index.

use chrono::{DateTime, TimeDelta, Utc};
use shared::{
    platform::{backoff::MAX_CRASHES, queue::BatchMessage},
    schedule::status::ScheduleStatus,
};
use sqlx::MySqlConnection;
use uuid::Uuid;

/// The sweep runs every minute. A row that it should have enqueued this long ago is reported as
/// overdue.
const OVERDUE: TimeDelta = TimeDelta::minutes(10);

/// The number of entries of each kind, in all schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the lists below")]
pub struct AttentionTotals {
    pub missed_schedules: i64,
    pub missed_batches: i64,
    pub parked_batches: i64,
    pub uncertain: i64,
    pub overdue: i64,
    pub overdue_schedules: i64,
    pub paused: i64,
}

/// Counts the entries of each kind, by the conditions of its list.
pub async fn count_attention(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<AttentionTotals> {
    let overdue_before = now - OVERDUE;
    sqlx::query_as!(
        AttentionTotals,
        r#"SELECT
             (SELECT COUNT(*) FROM schedules WHERE status = 'missed') AS "missed_schedules!: i64",
             (SELECT COUNT(*) FROM batches FORCE INDEX (missed) WHERE missed_at IS NOT NULL) AS "missed_batches!: i64",
             (SELECT COUNT(*) FROM batches FORCE INDEX (due)
              WHERE sweep_at IS NOT NULL AND crashes >= ? AND (claim_token IS NULL OR claimed_until < ?)) AS "parked_batches!: i64",
             (SELECT COUNT(*) FROM batches FORCE INDEX (with_uncertain)
              WHERE uncertain > 0 AND (claim_token IS NULL OR claimed_until < ?)) AS "uncertain!: i64",
             (SELECT COUNT(*) FROM batches b FORCE INDEX (due) STRAIGHT_JOIN schedules s ON s.id = b.schedule_id
              WHERE b.sweep_at IS NOT NULL AND b.crashes < ?
                AND (b.sweep_at < ? OR (b.claimed_until < ? AND s.status <> 'paused'))) AS "overdue!: i64",
             (SELECT COUNT(*) FROM schedules
              WHERE batch_count IS NULL AND status = 'scheduled' AND run_at < ?) AS "overdue_schedules!: i64",
             (SELECT COUNT(*) FROM schedules WHERE status = 'paused' AND pause_reason IS NOT NULL) AS "paused!: i64""#,
        MAX_CRASHES,
        now,
        now,
        MAX_CRASHES,
        overdue_before,
        overdue_before,
        overdue_before
    )
    .fetch_one(connection)
    .await
}

/// The position of a batch, or of a schedule (`batch_no` 0), in a list, from which the next page
/// continues.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ListPosition {
    /// The key by which the list is ordered: milliseconds since 1970, or a number of recipients.
    pub key: i64,
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    pub batch_no: u32,
}

impl ListPosition {
    /// Before all entries.
    pub const START: Self = Self {
        key: 0,
        schedule_id: Uuid::nil(),
        batch_no: 0,
    };

    const fn of_time(time: DateTime<Utc>, schedule_id: Uuid, batch_no: u32) -> Self {
        Self {
            key: time.timestamp_millis(),
            schedule_id,
            batch_no,
        }
    }

    fn time(self) -> DateTime<Utc> {
        DateTime::from_timestamp_millis(self.key).unwrap_or_default()
    }
}

/// Returns batches with messages that were found too late and are held, those that wait the longest
/// first.
pub async fn missed_batches(
    connection: &mut MySqlConnection,
    after: ListPosition,
    limit: u32,
) -> sqlx::Result<Vec<ListPosition>> {
    let rows = sqlx::query!(
        r#"SELECT missed_at AS "missed_at!: DateTime<Utc>", schedule_id AS "schedule_id: Uuid", batch_no
           FROM batches FORCE INDEX (missed)
           WHERE missed_at >= ? AND (missed_at > ? OR schedule_id > ? OR (schedule_id = ? AND batch_no > ?))
           ORDER BY missed_at, schedule_id, batch_no LIMIT ?"#,
        after.time(),
        after.time(),
        after.schedule_id,
        after.schedule_id,
        after.batch_no,
        limit
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows
        .iter()
        .map(|row| ListPosition::of_time(row.missed_at, row.schedule_id, row.batch_no))
        .collect())
}

/// Returns batches that were claimed three times without a release. Each has a `sweep_at`, because
/// the sweep considers each of them twice an hour.
pub async fn parked_batches(
    connection: &mut MySqlConnection,
    after: ListPosition,
    limit: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<ListPosition>> {
    let rows = sqlx::query!(
        r#"SELECT sweep_at AS "sweep_at!: DateTime<Utc>", schedule_id AS "schedule_id: Uuid", batch_no FROM batches FORCE INDEX (due)
           WHERE sweep_at >= ? AND (sweep_at > ? OR schedule_id > ? OR (schedule_id = ? AND batch_no > ?))
             AND crashes >= ? AND (claim_token IS NULL OR claimed_until < ?)
           ORDER BY sweep_at, schedule_id, batch_no LIMIT ?"#,
        after.time(),
        after.time(),
        after.schedule_id,
        after.schedule_id,
        after.batch_no,
        MAX_CRASHES,
        now,
        limit
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows
        .iter()
        .map(|row| ListPosition::of_time(row.sweep_at, row.schedule_id, row.batch_no))
        .collect())
}

/// Returns batches with UNCERTAIN recipients that no worker owns, by the number of these
/// recipients.
pub async fn uncertain_batches(
    connection: &mut MySqlConnection,
    after: ListPosition,
    limit: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<ListPosition>> {
    let least_uncertain = after.key.max(1);
    let rows = sqlx::query!(
        r#"SELECT uncertain, schedule_id AS "schedule_id: Uuid", batch_no FROM batches FORCE INDEX (with_uncertain)
           WHERE uncertain >= ? AND (uncertain > ? OR schedule_id > ? OR (schedule_id = ? AND batch_no > ?))
             AND (claim_token IS NULL OR claimed_until < ?)
           ORDER BY uncertain, schedule_id, batch_no LIMIT ?"#,
        least_uncertain,
        least_uncertain,
        after.schedule_id,
        after.schedule_id,
        after.batch_no,
        now,
        limit
    );
    let rows = rows.fetch_all(connection).await?;
    let position = |uncertain: u32, schedule_id, batch_no| ListPosition {
        key: uncertain.into(),
        schedule_id,
        batch_no,
    };
    Ok(rows
        .iter()
        .map(|row| position(row.uncertain, row.schedule_id, row.batch_no))
        .collect())
}

/// Returns batches that are overdue, although the sweep should have enqueued them: the sweep does
/// not run, or no worker receives what it enqueues. A parked batch is not among them, nor a batch
/// whose owner crashed before its schedule was paused.
pub async fn overdue_batches(
    connection: &mut MySqlConnection,
    after: ListPosition,
    limit: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<ListPosition>> {
    let overdue_before = now - OVERDUE;
    let rows = sqlx::query!(
        r#"SELECT b.sweep_at AS "sweep_at!: DateTime<Utc>", b.schedule_id AS "schedule_id: Uuid", b.batch_no
           FROM batches b FORCE INDEX (due) STRAIGHT_JOIN schedules s ON s.id = b.schedule_id
           WHERE b.sweep_at >= ? AND (b.sweep_at > ? OR b.schedule_id > ? OR (b.schedule_id = ? AND b.batch_no > ?))
             AND b.crashes < ? AND (b.sweep_at < ? OR (b.claimed_until < ? AND s.status <> 'paused'))
           ORDER BY b.sweep_at, b.schedule_id, b.batch_no LIMIT ?"#,
        after.time(),
        after.time(),
        after.schedule_id,
        after.schedule_id,
        after.batch_no,
        MAX_CRASHES,
        overdue_before,
        overdue_before,
        limit
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows
        .iter()
        .map(|row| ListPosition::of_time(row.sweep_at, row.schedule_id, row.batch_no))
        .collect())
}

/// Returns schedules whose time passed long ago, and that were neither cut nor found missed.
pub async fn overdue_schedules(
    connection: &mut MySqlConnection,
    after: ListPosition,
    limit: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<ListPosition>> {
    let rows = sqlx::query!(
        r#"SELECT run_at AS "run_at: DateTime<Utc>", id AS "id: Uuid" FROM schedules FORCE INDEX (to_cut)
           WHERE batch_count IS NULL AND status = 'scheduled' AND run_at >= ? AND run_at < ? AND (run_at > ? OR id > ?)
           ORDER BY run_at, id LIMIT ?"#,
        after.time(),
        now - OVERDUE,
        after.time(),
        after.schedule_id,
        limit
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows
        .iter()
        .map(|row| ListPosition::of_time(row.run_at, row.id, 0))
        .collect())
}

/// Returns schedules that the system has paused, such as when the carrier refused our credentials;
/// the newest first.
pub async fn paused_by_system(
    connection: &mut MySqlConnection,
    before: Uuid,
    limit: u32,
) -> sqlx::Result<Vec<Uuid>> {
    let page = sqlx::query_scalar!(
        r#"SELECT id AS "id: Uuid" FROM schedules FORCE INDEX (by_status)
           WHERE status = 'paused' AND id < ? AND pause_reason IS NOT NULL ORDER BY id DESC LIMIT ?"#,
        before,
        limit
    );
    page.fetch_all(connection).await
}

/// A schedule that needs an operator.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct AttentionSchedule {
    pub place: u32,
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub run_at: DateTime<Utc>,
    pub max_lateness_s: u32,
    pub recipient_count: u32,
    pub batch_count: Option<u32>,
    pub paused_at: Option<DateTime<Utc>>,
    pub pause_reason: Option<String>,
    /// When the first of its batches was found too late.
    pub held_since: Option<DateTime<Utc>>,
    /// The number of PENDING recipients in its batches.
    pub pending: u64,
}

/// Returns the named schedules that exist, in the order in which they are named.
pub async fn load_attention_schedules(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<AttentionSchedule>> {
    let names: Vec<_> = (0_u32..)
        .zip(ids)
        .map(|(index, id)| (index, id.simple().to_string()))
        .collect();
    let mut schedules = sqlx::query_as!(
        AttentionSchedule,
        r#"SELECT named.place AS "place!: u32", s.id AS "id: Uuid", s.status AS "status: ScheduleStatus", s.run_at AS "run_at: DateTime<Utc>", s.max_lateness_s,
             s.recipient_count, s.batch_count, s.paused_at AS "paused_at: DateTime<Utc>", s.pause_reason,
             (SELECT MIN(b.missed_at) FROM batches b WHERE b.schedule_id = s.id) AS "held_since: DateTime<Utc>",
             (SELECT CAST(COALESCE(SUM(b.pending), 0) AS UNSIGNED) FROM batches b WHERE b.schedule_id = s.id) AS "pending!: u64"
           FROM JSON_TABLE(?, '$[*]' COLUMNS (place INT UNSIGNED PATH '$[0]', id CHAR(32) PATH '$[1]')) named
             STRAIGHT_JOIN schedules s ON s.id = UNHEX(named.id)"#,
        serde_json::json!(names).to_string()
    )
    .fetch_all(connection)
    .await?;
    schedules.sort_unstable_by_key(|schedule| schedule.place);
    Ok(schedules)
}

/// Makes batches due for the sweep now, if they have work and no worker owns them; what waits for
/// its turn is on no queue, and its dead letter is none. A `sweep_at` that is not after the due time
/// means that the batch is not enqueued. Returns how many there were. The rows decide what there is to do, not the dead letter.
pub async fn make_due_for_sweep(
    connection: &mut MySqlConnection,
    batches: &[BatchMessage],
    now: DateTime<Utc>,
) -> sqlx::Result<u64> {
    let names: Vec<_> = batches
        .iter()
        .map(|batch| (batch.schedule_id.simple().to_string(), batch.batch_no))
        .collect();
    let done = sqlx::query!(
        "UPDATE batches b JOIN (
           SELECT DISTINCT named.id, named.batch_no FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$[0]',
             batch_no INT UNSIGNED PATH '$[1]')) named) n
         SET b.sweep_at = LEAST(?, COALESCE(b.send_at, ?), COALESCE(b.check_at, ?)), b.requeues = 0
         WHERE b.schedule_id = UNHEX(n.id) AND b.batch_no = n.batch_no
           AND ((b.send_at IS NOT NULL AND b.waiting = 0) OR b.check_at IS NOT NULL) AND (b.claim_token IS NULL OR b.claimed_until < ?)",
        serde_json::json!(names).to_string(),
        now,
        now,
        now,
        now
    );
    Ok(done.execute(connection).await?.rows_affected())
}
