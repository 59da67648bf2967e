//! What needs a person: missed, parked, uncertain, overdue, paused. Nothing of it goes on by itself, so all of it can be listed, page
//! by page in the order of an index.

use chrono::{DateTime, TimeDelta, Utc};
use sqlx::MySqlConnection;
use uuid::Uuid;

use shared::platform::backoff::MAX_CRASHES;

/// The sweep runs every minute: what it should have taken up this long ago is stuck, and shown as
/// such.
const OVERDUE: TimeDelta = TimeDelta::minutes(10);

/// Batches of one schedule that need a person.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Waiting {
    /// Something of it was found too late and is held.
    pub missed: u32,
    /// Claimed three times without a release.
    pub parked: u32,
}

/// How many batches of a schedule need a person. One under its third claim is not parked yet: it may still be released.
pub async fn count_waiting(
    connection: &mut MySqlConnection,
    id: Uuid,
    now: DateTime<Utc>,
) -> sqlx::Result<Waiting> {
    sqlx::query_as!(
        Waiting,
        r#"SELECT CAST(COALESCE(SUM(missed_at IS NOT NULL), 0) AS UNSIGNED) AS "missed!: u32",
             CAST(COALESCE(SUM(crashes >= ? AND (claim_token IS NULL OR claimed_until < ?)), 0) AS UNSIGNED) AS "parked!: u32"
           FROM batches WHERE schedule_id = ?"#,
        MAX_CRASHES,
        now,
        id
    )
    .fetch_one(connection)
    .await
}

/// How much of each kind there is, in all schedules.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[expect(missing_docs, reason = "named as the lists below")]
pub struct Totals {
    pub missed_schedules: i64,
    pub missed_batches: i64,
    pub parked_batches: i64,
    pub uncertain: i64,
    pub overdue: i64,
    pub overdue_schedules: i64,
    pub paused: i64,
}

/// Counts each kind as its list has it.
pub async fn count_trouble(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Totals> {
    let long_ago = now - OVERDUE;
    sqlx::query_as!(
        Totals,
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
        long_ago,
        long_ago,
        long_ago
    )
    .fetch_one(connection)
    .await
}

/// Where a batch, or a schedule (`batch_no` 0), stands in a list, and so where the next page begins.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Place {
    /// What the list is ordered by: milliseconds since 1970, or a number of recipients.
    pub key: i64,
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// `batches.batch_no`
    pub batch_no: u32,
}

impl Place {
    /// Before everything.
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

/// Batches of which something was found too late and is held, those that wait the longest first.
pub async fn missed_batches(
    connection: &mut MySqlConnection,
    after: Place,
    limit: u32,
) -> sqlx::Result<Vec<Place>> {
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
        .map(|row| Place::of_time(row.missed_at, row.schedule_id, row.batch_no))
        .collect())
}

/// Batches that were claimed three times without a release. The sweep looks at each twice an hour, so each has a `sweep_at`.
pub async fn parked_batches(
    connection: &mut MySqlConnection,
    after: Place,
    limit: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Place>> {
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
        .map(|row| Place::of_time(row.sweep_at, row.schedule_id, row.batch_no))
        .collect())
}

/// Batches with UNCERTAIN recipients that nobody works on, by how many they are.
pub async fn uncertain_batches(
    connection: &mut MySqlConnection,
    after: Place,
    limit: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Place>> {
    let least = after.key.max(1);
    let rows = sqlx::query!(
        r#"SELECT uncertain, schedule_id AS "schedule_id: Uuid", batch_no FROM batches FORCE INDEX (with_uncertain)
           WHERE uncertain >= ? AND (uncertain > ? OR schedule_id > ? OR (schedule_id = ? AND batch_no > ?))
             AND (claim_token IS NULL OR claimed_until < ?)
           ORDER BY uncertain, schedule_id, batch_no LIMIT ?"#,
        least,
        least,
        after.schedule_id,
        after.schedule_id,
        after.batch_no,
        now,
        limit
    );
    let rows = rows.fetch_all(connection).await?;
    let place = |uncertain: u32, schedule_id, batch_no| Place {
        key: uncertain.into(),
        schedule_id,
        batch_no,
    };
    Ok(rows
        .iter()
        .map(|row| place(row.uncertain, row.schedule_id, row.batch_no))
        .collect())
}

/// Batches that nothing comes for, though the sweep should have: it is not running, or nobody takes what it enqueues. A parked batch
/// is not among them, nor one whose owner died before its schedule was paused.
pub async fn overdue_batches(
    connection: &mut MySqlConnection,
    after: Place,
    limit: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Place>> {
    let long_ago = now - OVERDUE;
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
        long_ago,
        long_ago,
        limit
    );
    let rows = rows.fetch_all(connection).await?;
    Ok(rows
        .iter()
        .map(|row| Place::of_time(row.sweep_at, row.schedule_id, row.batch_no))
        .collect())
}

/// Schedules whose time has come long ago, and that nobody has cut or found missed.
pub async fn overdue_schedules(
    connection: &mut MySqlConnection,
    after: Place,
    limit: u32,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Place>> {
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
        .map(|row| Place::of_time(row.run_at, row.id, 0))
        .collect())
}

/// Schedules that the system itself has paused, such as when the carrier refused our credentials; the newest first.
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
