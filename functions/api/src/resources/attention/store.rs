//! The schedules that need an operator, by kind, each with the people that it affects. None of it
//! progresses by itself.

use chrono::{DateTime, Utc};
use shared::{platform::backoff::MAX_CRASHES, schedule::status::ScheduleStatus};
use sqlx::MySqlConnection;
use uuid::Uuid;

use crate::resources::schedules::attention::OVERDUE;

/// The schedules of one kind that are read at most, the newest: it bounds the memory of a call.
const MOST: u32 = 100_000;

/// A schedule that needs an operator.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Affected {
    /// `schedules.id`
    pub schedule_id: Uuid,
    /// How many recipients wait for an operator.
    pub people: u64,
    /// How many of its batches do; 0 if it has not begun, or if it waits as a whole.
    pub batches: u64,
    /// Since when the first of them does; None if it is read from the recipients.
    pub since: Option<DateTime<Utc>>,
}

/// Returns schedules that were found too late, in whole or in part.
pub async fn missed(connection: &mut MySqlConnection) -> sqlx::Result<Vec<Affected>> {
    sqlx::query_as!(
        Affected,
        r#"SELECT m.id AS "schedule_id!: Uuid", CAST(m.people AS UNSIGNED) AS "people!: u64",
             CAST(m.batches AS UNSIGNED) AS "batches!: u64", m.since AS "since?: DateTime<Utc>"
           FROM (
             SELECT id, recipient_count - cancelled_count AS people, 0 AS batches, COALESCE(opens_at, run_at) + INTERVAL max_lateness_s SECOND AS since
               FROM schedules FORCE INDEX (by_status) WHERE status = 'missed' AND batch_count IS NULL
             UNION ALL
             SELECT schedule_id, SUM(pending), COUNT(*), MIN(missed_at)
               FROM batches FORCE INDEX (missed) WHERE missed_at IS NOT NULL GROUP BY schedule_id) m
           ORDER BY m.id DESC LIMIT ?"#,
        MOST
    )
    .fetch_all(connection)
    .await
}

/// Returns schedules with batches that were claimed three times without a release. Each of these
/// has a `sweep_at`, because the sweep considers it twice an hour.
pub async fn parked(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Affected>> {
    sqlx::query_as!(
        Affected,
        r#"SELECT schedule_id AS "schedule_id: Uuid", CAST(SUM(pending + sending + uncertain + acceptd + enroute) AS UNSIGNED) AS "people!: u64",
             CAST(COUNT(*) AS UNSIGNED) AS "batches!: u64", MIN(COALESCE(claimed_until, sweep_at)) AS "since: DateTime<Utc>"
           FROM batches FORCE INDEX (due)
           WHERE sweep_at IS NOT NULL AND crashes >= ? AND (claim_token IS NULL OR claimed_until < ?)
           GROUP BY schedule_id ORDER BY schedule_id DESC LIMIT ?"#,
        MAX_CRASHES,
        now,
        MOST
    )
    .fetch_all(connection)
    .await
}

/// Returns schedules with UNCERTAIN recipients in batches that no worker owns.
pub async fn uncertain(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Affected>> {
    sqlx::query_as!(
        Affected,
        r#"SELECT schedule_id AS "schedule_id: Uuid", CAST(SUM(uncertain) AS UNSIGNED) AS "people!: u64",
             CAST(COUNT(*) AS UNSIGNED) AS "batches!: u64", CAST(NULL AS DATETIME) AS "since: DateTime<Utc>"
           FROM batches FORCE INDEX (with_uncertain)
           WHERE uncertain > 0 AND (claim_token IS NULL OR claimed_until < ?)
           GROUP BY schedule_id ORDER BY schedule_id DESC LIMIT ?"#,
        now,
        MOST
    )
    .fetch_all(connection)
    .await
}

/// Returns schedules with batches that are overdue, although the sweep should have enqueued them:
/// the sweep does not run, or no worker receives what it enqueues. A parked batch is not among
/// them, nor a batch whose owner crashed before its schedule was paused.
pub async fn overdue(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Affected>> {
    let overdue_before = now - OVERDUE;
    sqlx::query_as!(
        Affected,
        r#"SELECT b.schedule_id AS "schedule_id: Uuid",
             CAST(SUM(b.pending + b.sending + b.uncertain + b.acceptd + b.enroute) AS UNSIGNED) AS "people!: u64",
             CAST(COUNT(*) AS UNSIGNED) AS "batches!: u64",
             MIN(LEAST(b.sweep_at, COALESCE(b.claimed_until, b.sweep_at))) AS "since: DateTime<Utc>"
           FROM batches b FORCE INDEX (due) STRAIGHT_JOIN schedules s ON s.id = b.schedule_id
           WHERE b.sweep_at IS NOT NULL AND b.crashes < ? AND (b.sweep_at < ? OR (b.claimed_until < ? AND s.status <> 'paused'))
           GROUP BY b.schedule_id ORDER BY b.schedule_id DESC LIMIT ?"#,
        MAX_CRASHES,
        overdue_before,
        overdue_before,
        MOST
    )
    .fetch_all(connection)
    .await
}

/// Returns schedules whose time, and the opening of whose window, passed long ago, and that were neither cut nor found missed.
pub async fn not_begun(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Affected>> {
    let overdue_before = now - OVERDUE;
    sqlx::query_as!(
        Affected,
        r#"SELECT id AS "schedule_id: Uuid", CAST(recipient_count - cancelled_count AS UNSIGNED) AS "people!: u64", CAST(0 AS UNSIGNED) AS "batches!: u64",
             COALESCE(opens_at, run_at) AS "since?: DateTime<Utc>"
           FROM schedules FORCE INDEX (to_cut)
           WHERE batch_count IS NULL AND status = 'scheduled' AND run_at < ? AND (opens_at IS NULL OR opens_at < ?) ORDER BY id DESC LIMIT ?"#,
        overdue_before,
        overdue_before,
        MOST
    )
    .fetch_all(connection)
    .await
}

/// Returns schedules that wait for the approval of a second person, also before their time.
pub async fn awaiting_approval(connection: &mut MySqlConnection) -> sqlx::Result<Vec<Affected>> {
    sqlx::query_as!(
        Affected,
        r#"SELECT s.id AS "schedule_id: Uuid", CAST(s.recipient_count - s.cancelled_count AS UNSIGNED) AS "people!: u64",
             CAST(0 AS UNSIGNED) AS "batches!: u64",
             (SELECT a.asked_at FROM schedule_approvals a WHERE a.schedule_id = s.id) AS "since?: DateTime<Utc>"
           FROM schedules s FORCE INDEX (by_status) WHERE s.status = 'awaiting-approval' ORDER BY s.id DESC LIMIT ?"#,
        MOST
    )
    .fetch_all(connection)
    .await
}

/// Returns schedules that the system has paused, such as when the carrier refused our credentials,
/// and those that a person has paused and whose time has passed.
pub async fn paused(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Affected>> {
    sqlx::query_as!(
        Affected,
        r#"SELECT s.id AS "schedule_id: Uuid",
             CAST(IF(s.batch_count IS NULL, s.recipient_count - s.cancelled_count,
               (SELECT COALESCE(SUM(b.pending), 0) FROM batches b WHERE b.schedule_id = s.id AND b.sweep_at IS NOT NULL)) AS UNSIGNED) AS "people!: u64",
             CAST(0 AS UNSIGNED) AS "batches!: u64", IF(s.pause_reason IS NULL, GREATEST(s.paused_at, COALESCE(s.opens_at, s.run_at)), s.paused_at) AS "since: DateTime<Utc>"
           FROM schedules s FORCE INDEX (by_status)
           WHERE s.status = 'paused' AND (s.pause_reason IS NOT NULL OR COALESCE(s.opens_at, s.run_at) < ?) ORDER BY s.id DESC LIMIT ?"#,
        now,
        MOST
    )
    .fetch_all(connection)
    .await
}

/// Returns drafts whose time has passed: nobody has activated them.
pub async fn drafts(
    connection: &mut MySqlConnection,
    now: DateTime<Utc>,
) -> sqlx::Result<Vec<Affected>> {
    sqlx::query_as!(
        Affected,
        r#"SELECT id AS "schedule_id: Uuid", CAST(recipient_count - cancelled_count AS UNSIGNED) AS "people!: u64", CAST(0 AS UNSIGNED) AS "batches!: u64",
             run_at AS "since?: DateTime<Utc>"
           FROM schedules FORCE INDEX (by_status)
           WHERE status = 'draft' AND run_at < ? ORDER BY id DESC LIMIT ?"#,
        now,
        MOST
    )
    .fetch_all(connection)
    .await
}

/// A schedule that an entry shows.
#[derive(Clone, Debug)]
#[expect(missing_docs, reason = "the columns are commented in the migration")]
pub struct ShownSchedule {
    pub id: Uuid,
    pub status: ScheduleStatus,
    pub run_at: DateTime<Utc>,
    pub batch_count: Option<u32>,
    /// The system's reason of a pause, else the caller's.
    pub reason: Option<String>,
}

/// Returns the named schedules that exist, in any order.
pub async fn load_shown_schedules(
    connection: &mut MySqlConnection,
    ids: &[Uuid],
) -> sqlx::Result<Vec<ShownSchedule>> {
    let ids: Vec<_> = ids.iter().map(|id| id.simple().to_string()).collect();
    sqlx::query_as!(
        ShownSchedule,
        r#"SELECT s.id AS "id: Uuid", s.status AS "status: ScheduleStatus", s.run_at AS "run_at: DateTime<Utc>", s.batch_count,
             COALESCE(s.pause_reason, s.reason) AS reason
           FROM JSON_TABLE(?, '$[*]' COLUMNS (id CHAR(32) PATH '$')) named STRAIGHT_JOIN schedules s ON s.id = UNHEX(named.id)"#,
        serde_json::json!(ids).to_string()
    )
    .fetch_all(connection)
    .await
}

/// Returns when the first request was sent whose answer was lost, in the first batch of a schedule
/// with UNCERTAIN recipients. Batches are sent in the order of their numbers.
pub async fn uncertain_since(
    connection: &mut MySqlConnection,
    id: Uuid,
) -> sqlx::Result<Option<DateTime<Utc>>> {
    sqlx::query_scalar!(
        r#"SELECT MIN(r.sent_at) AS "since: DateTime<Utc>"
           FROM (SELECT first_seq, last_seq FROM batches FORCE INDEX (PRIMARY)
                 WHERE schedule_id = ? AND uncertain > 0 ORDER BY batch_no LIMIT 1) b
             STRAIGHT_JOIN recipients r FORCE INDEX (PRIMARY) ON r.schedule_id = ? AND r.seq BETWEEN b.first_seq AND b.last_seq
           WHERE r.status = 'UNCERTAIN'"#,
        id,
        id
    )
    .fetch_one(connection)
    .await
}
